"""The load: generators of requests, and the data and requests that they send."""
