"""Booking over HTTP: the operations, their schemas, and the presenters of responses."""
