"""The provider of notifications: a mail server."""
