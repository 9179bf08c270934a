"""What notifications does on an event, on the outcome of a delivery, and on a request about settings."""
