"""The settings of notifications: the mail server, the sender, and how long a mail waits for its link."""

from datetime import timedelta
from email.headerregistry import Address
from email.utils import getaddresses, parseaddr
from ipaddress import ip_address
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from hoop_platform.config import Settings

Tls = Literal["none", "starttls", "tls"]


class NotificationsSettings(Settings):
    """The settings beside those of every service."""

    smtp_host: str = Field(min_length=1, description="the mail server that takes our mail")
    smtp_port: int = Field(587, ge=1, le=65535, description="its port")
    smtp_tls: Tls = Field("starttls", description="none, starttls or tls (from the first byte)")
    smtp_username: str = Field("", description="the user name there; empty: no login")
    smtp_password: SecretStr = Field(SecretStr(""), description="the password of that login")
    smtp_timeout: float = Field(10, gt=0, le=10, description="seconds for each step of a delivery")
    mail_from: str = Field(description="sender and organizer, `Name <address>`; names Message-IDs")
    mail_concurrency: int = Field(8, ge=1, le=100, description="deliveries at a time")
    link_wait: float = Field(120, ge=0, le=3600, description="seconds a mail waits for its link")

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
    def link_wait_time(self) -> timedelta:
        """LINK_WAIT as a timedelta."""
        return timedelta(seconds=self.link_wait)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
