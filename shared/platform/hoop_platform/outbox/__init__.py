"""The transactional outbox and the relay that publishes it to Kafka."""
