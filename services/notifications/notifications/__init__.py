"""notifications: tells people about their appointments by mail."""
