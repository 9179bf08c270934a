"""The background task that keeps the cache correct, and the commands of an operator."""
