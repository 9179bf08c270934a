"""The accounts service's HTTP API: `/locations`, `/users`, `/contacts` and `/api-keys`."""
