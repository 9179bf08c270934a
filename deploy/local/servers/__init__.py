"""PostgreSQL and Kafka on this machine: found or fetched, started and stopped."""
