"""Errors of calls to providers: how the call failed, and whether it had an effect."""

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


class ProviderError(Exception):
    """A call to a provider did not succeed. The text names the response, without personal data."""

    def __init__(self, text: str, wait: timedelta | None = None) -> None:
        super().__init__(text)
        self.wait = wait
        """The provider's `Retry-After`, if given."""


class OutcomeUnknown(ProviderError):
    """The call may have had its effect: no response came, or none that can be verified."""


class OutcomePending(ProviderError):
    """An earlier call without a response may still have its effect; `wait`: until that is settled."""


class CallRefused(ProviderError):
    """The call certainly had no effect: the provider refused it, or it was never sent."""


class CallPostponed(CallRefused):
    """The call was not made, or not accepted now; the attempt is to be repeated after `wait`."""


class QuotaExhausted(CallRefused):
    """The day's calls are used up by our own count; this call was not made."""


class Unusable(CallRefused):
    """The provider creates objects that may not be used; no second one is created."""


class Unreachable(CallRefused):
    """No connection to the provider could be opened."""


class TokenRejected(CallRefused):
    """401: the access token is not accepted."""


class PermissionLost(CallRefused):
    """The connection lacks a permission that the call needs; `reason` is shown to its owner."""

    def __init__(self, text: str, *, reason: str = "scope_missing") -> None:
        super().__init__(text)
        self.reason = reason


class ObjectNotFound(CallRefused):
    """The external object does not exist, or was deleted."""


class IdTaken(CallRefused):
    """409: an object of this id exists or existed."""


class VersionConflict(CallRefused):
    """412: the object was changed since the version named by `If-Match`."""


class RequestRejected(CallRefused):
    """The provider will never accept this request; the text gives its reason."""


class RateLimited(CallRefused):
    """429: further calls of this provider user would be refused as well; `daily`: until tomorrow."""

    def __init__(self, text: str, wait: timedelta | None = None, *, daily: bool = False) -> None:
        super().__init__(text, wait)
        self.daily = daily


class QuotaExceeded(CallRefused):
    """The usage quota of the provider user is used up for some hours."""


class SyncTokenExpired(CallRefused):
    """The sync token is no longer valid: everything has to be listed again."""
