"""A simulated Zoom: OAuth with rotating refresh tokens, and the meetings API."""

from simulators.zoom.simulator import ZoomSimulator, serve

__all__ = ["ZoomSimulator", "serve"]
