"""The background work: reconciling meetings and connections with the providers."""
