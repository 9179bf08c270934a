"""The settings of notifications: the mail server, the sender, and how long a mail waits for its link."""

from datetime import timedelta
from email.headerregistry import Address
from email.utils import getaddresses, parseaddr
from ipaddress import ip_address
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from hoop_platform.config import Settings

Tls = Literal["none", "starttls", "tls"]
MARGIN = 30
"""Seconds that a delivery may take besides what the mail server takes."""


class NotificationsSettings(Settings):
    """The settings beside those of every service."""

    smtp_host: str = Field(min_length=1, description="the mail server that takes our mail")
    smtp_port: int = Field(587, ge=1, le=65535, description="its port")
    smtp_tls: Tls = Field("starttls", description="none, starttls or tls (from the first byte)")
    smtp_username: str = Field("", description="the user name there; empty: no login")
    smtp_password: SecretStr = Field(SecretStr(""), description="the password of that login")
    smtp_timeout: float = Field(
        10, gt=0, le=300, description="seconds for each step of a delivery before the text"
    )
    smtp_data_timeout: float = Field(
        120, gt=0, le=900, description="seconds for the text of a mail and the response to it"
    )
    mail_from: str = Field(description="sender and organizer, `Name <address>`; names Message-IDs")
    mail_concurrency: int = Field(8, ge=1, le=100, description="deliveries at a time")
    link_wait: float = Field(120, ge=0, le=3600, description="seconds a mail waits for its link")
    series_wait: float = Field(
        5, ge=0, le=60, description="seconds a mail waits for other occurrences of its series"
    )

    @field_validator("mail_from")
    @classmethod
    def _one_address(cls, value: str) -> str:
        [*others, (name, address)] = getaddresses([value])
        try:
            parsed = Address(name, addr_spec=address)
        except (ValueError, IndexError) as error:
            raise ValueError("must be `Name <address>` or an address") from error
        if others or "." not in parsed.domain or not address.isascii():
            raise ValueError("must be one address, in ASCII, with a full domain")
        return value

    @model_validator(mode="after")
    def _no_plaintext_password(self) -> Self:
        if self.smtp_username and self.smtp_tls == "none" and not _is_loopback(self.smtp_host):
            raise ValueError("SMTP_TLS: a login needs starttls or tls, unless the server is local")
        return self

    @property
    def sender(self) -> Address:
        """MAIL_FROM, parsed."""
        name, address = parseaddr(self.mail_from)
        return Address(name, addr_spec=address)

    @property
    def longest_delivery(self) -> timedelta:
        """The longest that a delivery can take: connecting, naming the receiver, the text."""
        return timedelta(seconds=MARGIN + 2 * self.smtp_timeout + self.smtp_data_timeout)

    @property
    def link_wait_time(self) -> timedelta:
        """LINK_WAIT as a timedelta."""
        return timedelta(seconds=self.link_wait)

    @property
    def series_wait_time(self) -> timedelta:
        """SERIES_WAIT as a timedelta."""
        return timedelta(seconds=self.series_wait)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
