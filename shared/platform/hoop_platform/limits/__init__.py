"""Rate limits: so many requests a second and a minute for each key, so many a day for each account."""
