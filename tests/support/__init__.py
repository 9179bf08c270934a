"""What the tests of the whole system share: tenants, histories, bad input."""
