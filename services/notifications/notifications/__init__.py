"""The notifications service: informs contacts and users about their appointments by mail."""
