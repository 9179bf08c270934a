"""The base of every event: a change of one aggregate of one account, with its whole state afterwards."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    JsonValue,
    PlainSerializer,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from hoop_events.revisions import REVISIONS

ID_PATTERN = r"^[0-9a-v]{25}[048cgkos]$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""A UUID spelled as 26 lowercase base32hex characters (RFC 4648, section 7): sortable, opaque."""


def iso(moment: datetime) -> str:
    """An instant in ISO 8601 with UTC, milliseconds and `Z`: `2027-03-01T09:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[
    AwareDatetime, AfterValidator(_to_utc), PlainSerializer(iso, return_type=str, when_used="json")
]
"""An instant, in UTC; in JSON `2027-03-01T09:00:00.000Z`."""


class Contract(BaseModel):
    """Base of all models in events: camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,  # they describe the fields in the JSON Schemas
    )


class Personal(Contract):
    """Free text about people. After an erasure the event is announced again with empty texts."""

    title: str = ""
    description: str = ""
    address: str = ""
    notes: str = ""


class State(Contract):
    """The state of an aggregate after the event. `sequence` counts its events from 1."""

    id: str
    sequence: int


class Gone(State):
    """The state of a deleted aggregate."""

    versions: dict[Id, int] = {}
    """Versions of the calendars, hosts and resources that the deletion changed: see `Appointment`."""


class Change(Contract):
    """What this event changed, for subscribers that need more than the state."""

    fields: tuple[str, ...] = ()
    previous: dict[str, JsonValue] = {}
    notify: bool = True
    actor: str | None = None
    reason: str | None = None


class Event(Contract):
    """Base of all events. One service announces a type, on one topic, keyed by the aggregate's id."""

    topic: ClassVar[str]
    key: ClassVar[str]
    """The kind of aggregate whose id is the key of the topic's records, as documentation names it."""
    history_days: ClassVar[int] = 0
    """Days for which the topic keeps its full history; compaction keeps the latest state for ever."""
    global_table: ClassVar[bool] = False
    """Whether every service with routes keeps the whole topic in memory."""
    type: ClassVar[str]
    source: ClassVar[str]

    account_id: Id
    state: State
    change: Change = Change()

    @classmethod
    def dataschema(cls, revision: int | None = None) -> str:
        """The path of a JSON Schema of this event, by default of the revision that it is written in.

        Of `/schemas/<type>/<revision>.json` the file is `shared/events/schemas/<type>/<revision>.json`.
        """
        number = REVISIONS.get(cls.type, 1) if revision is None else revision
        return f"/schemas/{cls.type}/{number}.json"

    @property
    def subject(self) -> str:
        """The aggregate's id, which is the record's key: so events of one aggregate keep their order."""
        return self.state.id

    @property
    def sequence(self) -> int:
        return self.state.sequence

    @cached_property
    def event_id(self) -> str:
        """The record's `ce_id`, the same each time the event is delivered; no part of the body.

        Raises `LookupError` for an event that was not read from a record.
        """
        raise LookupError(f"{self.type}: only an event that was read from a record has an id")

    def with_event_id(self, event_id: str) -> Self:
        """Give the event its id, and return it; equality does not take the id into account."""
        self.__dict__["event_id"] = event_id  # where `cached_property` keeps its value
        return self
