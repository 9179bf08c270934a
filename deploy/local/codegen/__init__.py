"""The files that are generated from the services and from requirements.lock."""
