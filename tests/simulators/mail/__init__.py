"""The mail sink: an SMTP server, and an inbox over HTTP."""
