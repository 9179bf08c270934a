"""A mail sink: SMTP in, an inbox over HTTP out."""

from simulators.mail.simulator import MailSink, serve

__all__ = ["MailSink", "serve"]
