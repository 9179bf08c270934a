"""A simulated Google: OAuth, and Calendar v3 held to Google's own discovery document."""

from simulators.google.simulator import GoogleSimulator, serve

__all__ = ["GoogleSimulator", "serve"]
