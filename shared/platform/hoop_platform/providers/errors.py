"""What can go wrong at a provider, for whoever calls one."""

from datetime import timedelta


class ProviderDown(Exception):
    """The token endpoint gave no usable answer; nothing is known to be lost. Try again later.

    Timeouts, broken sockets, 429, 5xx, pages instead of JSON, and refusals of *our* client: none of
    them says anything about the user's consent.
    """

    def __init__(self, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class GrantRefused(Exception):
    """The provider says definitively that this code or refresh token is worth nothing any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotConnected(Exception):
    """The connection is not active (or unknown, or another account's): waiting does not help."""
