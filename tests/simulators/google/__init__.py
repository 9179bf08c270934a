"""The simulated Google: OAuth, and the Calendar API (v3) held to Google's own discovery document."""
