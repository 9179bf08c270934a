"""Accounts and everything in them as plain values: field rules, versions, and what a key may give to another."""
