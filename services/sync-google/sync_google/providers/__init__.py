"""Adapters of the providers that this service calls."""
