"""The rules, without I/O: which sessions need a meeting, what to do next, and which status to show."""
