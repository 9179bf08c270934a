"""PostgreSQL and Kafka on this machine: found, fetched, started, stopped."""
