"""Accounts and what belongs to each: locations, users, contacts, and the API keys of callers."""
