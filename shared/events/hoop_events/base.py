"""What every event is: a fact about one aggregate of one account, with the whole state after it."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

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

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-v]{25}[048cgkos]$")]
"""A UUID spelled as 26 lowercase base32hex characters (RFC 4648, section 7): sortable, opaque."""


def iso(moment: datetime) -> str:
    """An instant as our JSON spells it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[
    AwareDatetime, AfterValidator(_to_utc), PlainSerializer(iso, return_type=str, when_used="json")
]
"""An instant, in UTC; in JSON `2027-03-01T09:00:00.000Z`."""


class Contract(BaseModel):
    """Part of what we promise to subscribers: camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class Personal(Contract):
    """Free text of people. Erasure announces the appointment again with this empty."""

    title: str = ""
    description: str = ""
    address: str = ""
    notes: str = ""


class State(Contract):
    """An aggregate as it is after the event. `sequence` counts its announcements from 1."""

    id: str
    sequence: int


class Gone(State):
    """All that is left of a deleted aggregate."""

    versions: dict[Id, int] = {}
    """Of what its going has set free, as in the states of booking."""


class Change(Contract):
    """What this event changed, for those who care about more than the state."""

    fields: tuple[str, ...] = ()
    previous: dict[str, JsonValue] = {}
    notify: bool = True
    actor: str | None = None
    reason: str | None = None


class Event(Contract):
    """A fact that one service announces and nobody else: `type` on `topic`, keyed by the aggregate."""

    topic: ClassVar[str]
    key: ClassVar[str]
    """What the key of the topic's records names: the aggregate, in a word."""
    history_days: ClassVar[int] = 0
    """How long the topic keeps its full history; compaction leaves the latest state for ever."""
    global_table: ClassVar[bool] = False
    """Whether every service with routes keeps the whole topic in memory."""
    type: ClassVar[str]
    source: ClassVar[str]
    schema_number: ClassVar[int] = 1
    """The number of the schema under `/schemas/<type>/<n>.json`."""

    account_id: Id
    state: State
    change: Change = Change()

    @classmethod
    def dataschema(cls) -> str:
        """Where the JSON Schema of this contract stands."""
        return f"/schemas/{cls.type}/{cls.schema_number}.json"

    @property
    def subject(self) -> str:
        """The aggregate's id: the record's key, so that its events keep their order."""
        return self.state.id

    @property
    def sequence(self) -> int:
        return self.state.sequence
