"""A service as a value, and processes that run one or several."""
