"""The machinery of every service: HTTP, PostgreSQL, outbox and relay, Kafka, reconciler, providers."""
