"""The whole system on one machine: real PostgreSQL, real Apache Kafka and all services, without containers."""
