"""The codec: an encoded event decodes to itself, and foreign bytes raise `Undecodable`."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_events.accounts import Account, AccountChanged
from hoop_events.base import Gone
from hoop_events.booking import HoldDeleted
from hoop_events.calendars import Interval, Schedule, ScheduleChanged, ScheduleRule
from hoop_events.catalogue import EVENTS, TOPICS
from hoop_events.codec import Undecodable, UnknownType, attributes, body, decode, envelope

ID = "06gvqgu569o0v1e91maf8nmpds"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def headers(event: AccountChanged) -> list[tuple[str, bytes | None]]:
    return [
        *attributes(
            event_id=ID,
            source=event.source,
            type=event.type,
            subject=event.subject,
            sequence=event.sequence,
            account_id=event.account_id,
            dataschema=event.dataschema(),
            time=NOON,
            traceparent=None,
        )
    ]


def account(name: str = "Ada", sequence: int = 3) -> AccountChanged:
    return AccountChanged(account_id=ID, state=Account(id=ID, sequence=sequence, name=name))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.integers(1, 2**62))
def test_an_encoded_event_decodes_to_itself(name: str, sequence: int) -> None:
    event = account(name, sequence)
    assert decode(envelope(headers(event)), body(event), EVENTS) == event


def test_the_attributes_are_those_of_cloudevents() -> None:
    """Binary mode: `ce_` headers beside a JSON body; the sequence sorts as text."""
    found = dict(headers(account()))
    assert found["ce_specversion"] == b"1.0"
    assert found["ce_type"] == b"AccountChanged"
    assert found["ce_sequence"] == b"00000000000000000003"
    assert found["ce_time"] == b"2027-03-01T12:00:00.000Z"
    assert body(account()).startswith(b'{"accountId":"06gv')


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=12)), max_size=8))
def test_foreign_headers_are_undecodable_and_nothing_worse(
    foreign: list[tuple[str, bytes | None]],
) -> None:
    with pytest.raises(Undecodable):
        envelope(foreign)


@given(st.binary(max_size=60))
def test_a_foreign_body_is_undecodable_and_nothing_worse(foreign: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(envelope(headers(account())), foreign, EVENTS)


def test_headers_and_body_must_name_the_same_event() -> None:
    """A body of one account under the headers of another is refused."""
    forged = account().model_copy(update={"account_id": "06gvqgu569o0v1e91maf8nmpdg"})
    with pytest.raises(Undecodable, match="different facts"):
        decode(envelope(headers(account())), body(forged), EVENTS)


def test_a_type_of_the_future_is_unknown_not_wrong() -> None:
    meta = envelope([*headers(account()), ("ce_type", b"AccountChanged.v9")])
    with pytest.raises(UnknownType):
        decode(meta, body(account()), EVENTS)


def test_an_error_names_fields_and_no_values() -> None:
    """The text of an error goes to logs, which must not contain personal data."""
    wrong = body(account("secret name")).replace(b'"name"', b'"nam"')
    with pytest.raises(Undecodable) as caught:
        decode(envelope(headers(account())), wrong, EVENTS)
    assert "state.name" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_type_has_one_topic_and_one_name() -> None:
    assert len({event.type for event in EVENTS}) == len(EVENTS)
    assert {event.topic for event in EVENTS} == {*TOPICS}


def test_an_interval_is_spelled_from_and_to() -> None:
    """`from` is a keyword in Python and the name of the field on the wire."""
    rule = ScheduleRule(type="wday", day="monday", intervals=(Interval(from_="09:00", to="12:00"),))
    schedule = Schedule(
        id=ID,
        sequence=1,
        version=1,
        location_id=ID,
        user_id=None,
        name="Mornings",
        timezone="Europe/Berlin",
        rules=(rule,),
        calendar_ids=(ID,),
        versions={ID: 7},
        date_added=NOON,
        date_updated=NOON,
    )
    event = ScheduleChanged(account_id=ID, state=schedule)
    encoded = body(event)
    assert b'"intervals":[{"from":"09:00","to":"12:00"}]' in encoded
    assert ScheduleChanged.model_validate_json(encoded) == event


def test_a_deletion_carries_versions() -> None:
    """Older events have no versions: they decode to none."""
    gone = HoldDeleted(account_id=ID, state=Gone(id=ID, sequence=2, versions={ID: 3}))
    assert HoldDeleted.model_validate_json(body(gone)) == gone
    assert Gone.model_validate({"id": ID, "sequence": 2}).versions == {}
