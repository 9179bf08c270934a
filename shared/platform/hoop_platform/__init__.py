"""The machinery every service stands on: HTTP in, Postgres, an outbox, Kafka, and wishes."""
