"""Accounts at providers, connected by their owners: the OAuth flow, sealed tokens, their refresh."""
