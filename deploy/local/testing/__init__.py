"""The library of the tests: a running service, tenants, a client, polling."""
