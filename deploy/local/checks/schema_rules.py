"""What a change of an event's schema breaks, and what to do instead: the sentences of `./hoop check`.

The promise: today's code reads every record ever published, and consumers that were built with any
published revision read today's records. docs/decisions/0013-event-schemas.md gives the reasons.
"""

from dataclasses import dataclass
from enum import Enum

OLD_CONSUMERS = "consumers built with an older revision"
OLD_RECORDS = "records that are in the topic"
NEW_TYPE = "announce a new type on a topic of its own, and this one beside it until nobody reads it"


class Rule(Enum):
    """One kind of breaking change. The value: what it breaks, and what to do instead."""

    TYPE_REMOVED = (
        "records of this type stay in its topic for ever, and nothing could read them",
        "stop announcing it if you like, but keep its class in hoop_events",
    )
    TOPIC = (
        f"{OLD_CONSUMERS} listen to the old topic and would hear nothing more of it",
        NEW_TYPE,
    )
    KEY = (
        "records of one aggregate lose their order, and compaction keeps and drops the wrong ones",
        NEW_TYPE,
    )
    REMOVED = (
        f"{OLD_CONSUMERS} need it, or take its default for the truth",
        "keep the field and go on filling it; a field of a new name or unit is added beside it",
    )
    ADDED_REQUIRED = (
        f"{OLD_RECORDS} lack it, so today's code could not read them",
        "give it a default that says what its absence means",
    )
    ADDED_WITHOUT_DEFAULT = (
        f"{OLD_RECORDS} lack it, and the schema does not say what that means",
        "give it a literal default instead of a default_factory",
    )
    BECAME_REQUIRED = (
        f"{OLD_RECORDS} may lack it, and today's code could not read them",
        "keep its default",
    )
    BECAME_OPTIONAL = (
        f"{OLD_CONSUMERS} require it and could not read a record without it",
        "keep it required, without a default, and fill it always",
    )
    DEFAULT = (
        f"{OLD_RECORDS} may lack it and would change their meaning",
        "keep the default, and write the other value where the event is made",
    )
    TYPE = (
        f"{OLD_CONSUMERS} could not read new records, nor today's code those in the topic",
        "keep the field as it was and add an optional one of the new type under another name",
    )
    NULL_ADDED = (
        f"{OLD_CONSUMERS} could not read a record with null",
        "keep a value in it, or add an optional field that says when there is none",
    )
    NULL_REMOVED = (
        f"{OLD_RECORDS} may have null there, and today's code could not read them",
        "keep null allowed, and stop writing it",
    )
    ENUM_WIDENED = (
        f"{OLD_CONSUMERS} know only the old values and could not read a record with a new one",
        f"write the nearest old value here and the new one into an added optional field, or {NEW_TYPE}",
    )
    ENUM_NARROWED = (
        f"{OLD_RECORDS} may have such a value, and today's code could not read them",
        "keep the value, and stop writing it",
    )
    TIGHTENED = (
        f"{OLD_RECORDS} may exceed the new limit, and today's code could not read them",
        "keep the limit here, and check the tighter one where the event is made",
    )
    LOOSENED = (
        f"{OLD_CONSUMERS} check the old limit and could not read new records beyond it",
        "keep the limit, and add an optional field for what does not fit",
    )
    OTHER_LIMIT = (
        "either side may be unable to read what the other has written",
        "keep it as it was, and add an optional field under another name",
    )
    CLOSED = (
        "after a rollback, today's code could not read records of a revision with one more field",
        'remove extra="forbid"',
    )

    @property
    def breaks(self) -> str:
        return self.value[0]

    @property
    def instead(self) -> str:
        return self.value[1]


@dataclass(frozen=True)
class Break:
    """One breaking change. `path`: JSONPath of the field; `what`: what was and what is."""

    rule: Rule
    path: str
    what: str

    def sentence(self) -> str:
        """The change, whom it breaks, and what to do instead."""
        return f"{self.path} {self.what}. This breaks: {self.rule.breaks}. Instead: {self.rule.instead}."
