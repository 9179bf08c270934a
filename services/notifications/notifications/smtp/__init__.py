"""The mail server: the mail as bytes, and its delivery, whose end is yes, no, not now, or unknown."""

from notifications.smtp.mail import Envelope, compose
from notifications.smtp.post import Delivery, InDoubt, NotNow, Post, Rejected, Server, connected
