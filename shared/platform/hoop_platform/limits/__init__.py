"""Rate limits: requests per second and minute for each key, per day for each account."""
