"""The errors that the Google adapter raises, one class for each way to react."""

from datetime import timedelta


class ProviderError(Exception):
    """A call to a provider did not succeed. The text names the response, without personal data."""

    def __init__(self, text: str, wait: timedelta | None = None) -> None:
        super().__init__(text)
        self.wait = wait
        """The provider's `Retry-After`, if given."""


class OutcomeUnknown(ProviderError):
    """The call may have had its effect: a timeout, a broken socket, 5xx, a response of another shape."""


class OutcomePending(ProviderError):
    """An earlier call without a response may still have its effect; `wait`: until that is settled."""


class CallRefused(ProviderError):
    """The call certainly had no effect: the provider refused it."""


class RateLimited(CallRefused):
    """A rate limit; further calls of this provider user would be refused as well."""


class QuotaExceeded(CallRefused):
    """The calendar usage quota of the user is used up: no writes for some hours."""


class TokenRejected(CallRefused):
    """401: the access token is not accepted."""


class PermissionLost(CallRefused):
    """The connection lacks a permission that the call needs; `reason` is shown to its owner."""

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class ObjectNotFound(CallRefused):
    """The event or the calendar does not exist, or was deleted."""


class IdTaken(CallRefused):
    """409: an event of this id exists or existed."""


class VersionConflict(CallRefused):
    """412: the event was changed since the version named by `If-Match`."""


class SyncTokenExpired(CallRefused):
    """The sync token is no longer valid: the whole calendar has to be listed again."""


class RequestRejected(CallRefused):
    """The provider will never accept this request; the text gives its reason."""
