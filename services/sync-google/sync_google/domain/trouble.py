"""What can go wrong at Google, sorted by what it asks us to do."""

from datetime import timedelta


class Trouble(Exception):
    """A call did not do what it was for; the text is Google's reason, without anybody's data."""

    def __init__(self, text: str, wait: timedelta | None = None) -> None:
        super().__init__(text)
        self.wait = wait
        """Google's own word on when to come back."""


class NoAnswer(Trouble):
    """No usable answer: a timeout, a broken socket, 5xx, a page of HTML. It may have been done."""


class TooMany(Trouble):
    """A rate limit: nothing was done, and nothing else of this user is welcome now."""


class QuotaSpent(Trouble):
    """The user's calendar takes no writes for some hours."""


class TokenRejected(Trouble):
    """The access token is not accepted, although it should be."""


class AccessLost(Trouble):
    """What the connection needs is not permitted (any more); `reason` is for its owner."""

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class Missing(Trouble):
    """There is no such event or calendar, or it was deleted."""


class Taken(Trouble):
    """An event of this id exists, or existed."""


class Changed(Trouble):
    """The event is not as we knew it: somebody has written it since."""


class SyncExpired(Trouble):
    """The sync token is no longer good: everything has to be listed again."""


class Rejected(Trouble):
    """Google will never accept this request."""
