"""The library of the tests: running services, tenants, a client, events, polling."""
