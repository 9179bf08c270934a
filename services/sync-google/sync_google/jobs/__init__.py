"""Background work that calls Google; no transaction is open during a call."""
