"""The simulated Zoom: OAuth with rotating refresh tokens, and the meetings API."""
