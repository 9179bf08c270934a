"""The errors that a provider adapter raises: which call failed how, and whether it had an effect."""

from datetime import timedelta


class ProviderError(Exception):
    """A call to a provider did not succeed. The text names the response, without personal data."""


class OutcomeUnknown(ProviderError):
    """The call may have had its effect: no response came, or none that can be verified."""


class CallRefused(ProviderError):
    """The call certainly had no effect: the provider refused it, or it was never sent."""


class Unreachable(CallRefused):
    """No connection to the provider could be opened."""


class TokenRejected(CallRefused):
    """401: the access token is not accepted."""


class PermissionLost(CallRefused):
    """The connection lacks a permission (an OAuth scope) that the call needs."""


class ObjectNotFound(CallRefused):
    """The external object does not exist, or was deleted."""


class RequestRejected(CallRefused):
    """The provider will never accept this request; the text gives its reason."""


class RateLimited(CallRefused):
    """429. `wait`: the provider's `Retry-After`, if given. `daily`: the quota of the day is used up."""

    def __init__(self, text: str, *, wait: timedelta | None, daily: bool) -> None:
        super().__init__(text)
        self.wait = wait
        self.daily = daily
