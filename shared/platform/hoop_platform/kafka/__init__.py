"""Kafka: the only package that speaks to it, besides the outbox's relay."""
