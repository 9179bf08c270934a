"""The SQL of this service, one module for each group of tables."""
