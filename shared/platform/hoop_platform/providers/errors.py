"""Errors of calls to providers."""

from datetime import timedelta


class ProviderDown(Exception):
    """The token endpoint gave no usable response; trying again later makes sense.

    Timeouts, broken sockets, 429, 5xx, HTML instead of JSON, and refusals of *our* client: none of
    them says anything about the user's consent.
    """

    def __init__(self, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class GrantRefused(Exception):
    """The provider rejected this code or refresh token definitively."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotConnected(Exception):
    """The connection is not active (or unknown, or another account's): trying again does not help."""
