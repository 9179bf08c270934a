"""Refusals: each has a code, an HTTP status, a message and a remedy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Detail:
    """What is wrong with one field: its path as in JSON (`teamMembers.0.userId`), a slug, a sentence."""

    path: str
    code: str
    message: str
    allowed: Sequence[object] | None = None

    def as_json(self) -> dict[str, object]:
        detail: dict[str, object] = {"path": self.path, "code": self.code, "message": self.message}
        return detail if self.allowed is None else {**detail, "allowed": list(self.allowed)}


class Refused(Exception):
    """A refused request; subclasses are the reasons. Nothing was changed and nothing announced."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    text: ClassVar[str] = "The request was refused."
    remedy: ClassVar[str] = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Detail] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or self.text)
        self.message = message or self.text
        self.details = tuple(details)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


class Malformed(Refused):
    code, status = "malformed", 400
    text = "The request cannot be read."
    remedy = "Send one JSON document, in UTF-8, as the documentation of the operation shows."


class Unauthorized(Refused):
    code, status = "unauthorized", 401
    text = "A valid API key is required."
    remedy = "Send the header `Authorization: Bearer <key>` with a key that is active."


class VersionRequired(Refused):
    code, status = "version_required", 401
    text = "version header was not found."
    remedy = "Send the header `Version: 2021-07-28`."


class VersionUnknown(Refused):
    code, status = "version_unknown", 401
    text = "version header is invalid"
    remedy = "Send one of 2021-04-15, 2021-07-28, 2023-02-21, v3."


class ScopeMissing(Refused):
    code, status = "scope_missing", 403
    text = "The API key does not carry the scope that this operation needs."
    remedy = "Use a key with the scope that the message names."


class LocationForbidden(Refused):
    code, status = "location_forbidden", 403
    text = "The token does not have access to this location."
    remedy = "Use a location of the key's account."


class AccountReadOnly(Refused):
    code, status = "account_read_only", 403
    text = "The account is read-only."
    remedy = "Choose a plan; reading goes on working."


class NotFound(Refused):
    code, status = "not_found", 404
    text = "Not found."
    remedy = (
        "Check the id that `details` names;"
        " an id of another account is as unknown as one that never was."
    )

    def __init__(self, path: str | None = None) -> None:
        """`path`: the path parameter, query parameter or field of the body that the id stands in.

        None: the only id in the request's path. Whether it exists elsewhere is not told.
        """
        if path is None:
            super().__init__()
            return
        detail = Detail(path, self.code, "is the id of nothing that this API key can use")
        super().__init__(f"Not found: {path}.", details=[detail])


class MethodNotAllowed(Refused):
    code, status = "method_not_allowed", 405
    text = "This path does not know this method."
    remedy = "Use a method that the header `Allow` lists."


class Conflict(Refused):
    code, status = "conflict", 409
    text = "The request contradicts the present state."
    remedy = "Read the present state and decide again."


class StateConflict(Refused):
    code, status = "state_conflict", 409
    text = "The appointment is in a state that does not allow this."
    remedy = "Confirm the appointment again before moving it, or book a new one."


class AlreadyAttending(Refused):
    code, status = "already_attending", 409
    text = "The contact has a seat at this time already."
    remedy = (
        "Use the appointment that `appointmentId` names, or allow the same contact on the calendar."
    )


class IdempotencyMismatch(Refused):
    code, status = "idempotency_mismatch", 409
    text = "This `Idempotency-Key` was used for another request."
    remedy = "Make a new key for each request, and keep it for the request's repetitions only."


class IdempotencyInFlight(Refused):
    code, status = "idempotency_in_flight", 409
    text = "A request with this `Idempotency-Key` is being answered right now."
    remedy = "Repeat the request after the seconds that `Retry-After` names."


class PreconditionFailed(Refused):
    code, status = "stale_version", 412
    text = "The object was changed meanwhile."
    remedy = "Read it again and repeat the change with its present version in `If-Match`."


class TooSlow(Refused):
    code, status = "too_slow", 408
    text = "The body did not arrive in time."
    remedy = "Send the request again; if it is always too slow, send less."


class TooLarge(Refused):
    code, status = "too_large", 413
    text = "The body is larger than 1 MiB."
    remedy = "Send less."


class UnsupportedMedia(Refused):
    code, status = "unsupported_media", 415
    text = "The body must be JSON in UTF-8, not compressed."
    remedy = "Send `Content-Type: application/json`."


class Invalid(Refused):
    """Readable, but breaks a rule; `details` name field, rule and allowed values."""

    code, status = "invalid", 422
    text = "The request breaks a rule."
    remedy = "Mend the fields that `details` names."


class SlotUnavailable(Refused):
    code, status = "slot_unavailable", 400
    text = "The slot you have selected is no longer available."
    remedy = "Ask for free slots again and choose another."


class CalendarInactive(Refused):
    code, status = "calendar_inactive", 400
    text = "Calendar is inactive"
    remedy = "Activate the calendar or use another."


class NoHost(Refused):
    code, status = "no_host", 400
    text = "All members of the calendar's team were deleted; nobody can take appointments."
    remedy = "Add a member to the calendar's team, or use another calendar."


class WrongLength(Refused):
    code, status = "slot_duration", 400
    text = "Selected slot duration is not a valid duration option for this calendar"
    remedy = "Leave `endTime` out, or end at the calendar's slot duration."


class TooMany(Refused):
    code, status = "rate_limited", 429
    text = "Too many requests."
    remedy = "Wait for the seconds that `Retry-After` names; the headers say what is left."


class ConnectFailed(Refused):
    code, status = "connect_failed", 400
    text = "The provider did not connect the account."
    remedy = "Begin again with POST /integrations/{provider}/connect."


class Unavailable(Refused):
    code, status = "unavailable", 503
    text = "The service cannot answer right now; nothing was changed."
    remedy = "Repeat the request after the seconds that `Retry-After` names."


def check_fresh(version: int, expected: int | None) -> None:
    """Raise `PreconditionFailed` unless the version is the expected one (RFC 9110, `If-Match`)."""
    if expected is not None and expected != version:
        raise PreconditionFailed


def invalid(path: str, code: str, message: str, allowed: Sequence[object] | None = None) -> Invalid:
    """An `Invalid` about one field."""
    return Invalid(details=[Detail(path, code, message, allowed)])
