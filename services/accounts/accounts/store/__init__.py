"""The accounts service's SQL; every statement names the account."""
