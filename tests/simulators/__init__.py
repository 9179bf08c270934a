"""Simulators of Zoom, Google and a mail server: real servers with faults on demand and a request log."""
