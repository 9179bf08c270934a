"""Google: its OAuth settings and the calls of its Calendar API (v3)."""
