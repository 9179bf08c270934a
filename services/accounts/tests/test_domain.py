"""What may stand in a field, what a change does to a row, and what a key may give."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.domain import (
    ApiKey,
    Contact,
    Powers,
    check,
    grant,
    is_address,
    is_name,
    is_phone,
    patched,
)
from hoop_platform.auth import SCOPES, Caller
from hoop_platform.errors import Invalid, LocationForbidden, PreconditionFailed, ScopeMissing
from hoop_platform.ids import new_id

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
HERE, THERE = new_id(), new_id()


@pytest.mark.parametrize(
    "text",
    ["ada@example.com", "a.b+c@sub.example.co", "o'neil@xn--bcher-kva.example", "x" * 64 + "@a.de"],
)
def test_an_address_is_an_address(text):
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@localhost",
        "ada@@example.com",
        ".ada@example.com",
        "ada..b@example.com",
        "ada@example.com\n",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        '"ada,eve"@example.com',
        "ada@-example.com",
        "ada@example.com.",
        "ada@[127.0.0.1]",
        "ada@exämple.com",
        "x" * 65 + "@example.com",
        "a@" + "b" * 63 + ".c" * 100,
    ],
)
def test_what_is_not_exactly_one_address_is_refused(text):
    """Nothing passes that could end a header of a mail or name a second receiver."""
    assert not is_address(text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_an_address_holds_nothing_that_a_mail_header_reads(text):
    """Whatever is put around or into an address: what passes has one @ and no mark of a header."""
    for candidate in (f"ada{text}@example.com", f"ada@example.com{text}", text):
        if is_address(candidate):
            assert candidate.count("@") == 1
            assert not set(candidate) & set('\r\n\t ,;:<>()[]"\\')


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("+49 30 123456", True),
        ("(030) 123456", False),
        ("030-12.34.56", True),
        ("1234", False),
        ("+1" + "2" * 14, True),
        ("+1" + "2" * 15, False),
        ("+49301234\n5", False),
        ("call me", False),
    ],
)
def test_phone_numbers(text, good):
    assert is_phone(text) is good


@pytest.mark.parametrize("text", ["", " ", "a" * 201, "Ada\r\nBcc: x", "Ada\u2028", "\x7f"])
def test_a_name_stands_on_one_line(text):
    assert not is_name(text)


def contact(**fields):
    given = {"name": "Ada", "date_added": NOW, "date_updated": NOW} | fields
    return Contact(account_id=new_id(), id=new_id(), location_id=HERE, **given)


def test_every_broken_field_is_named():
    """All problems are told at once, each with the path that the client knows."""
    bad = contact(name="", email="a,b", phone="x", time_zone="Mars/Base")
    with pytest.raises(Invalid) as refusal:
        check(bad, bad.rules)
    assert [detail.path for detail in refusal.value.details] == [
        "name",
        "email",
        "phone",
        "timeZone",
    ]


def test_a_contact_may_be_out_of_reach():
    """No address, no number and no zone are fine."""
    check(contact(), Contact.rules)


def test_a_change_counts():
    before = contact(email="ada@example.com")
    later = NOW + timedelta(hours=1)
    after, fields = patched(before, {"name": "Eve", "phone": ""}, if_version=1, now=later)
    assert after == replace(before, name="Eve", version=2, sequence=2, date_updated=later)
    assert fields == ("name",)


def test_a_change_to_the_same_is_none():
    before = contact()
    assert patched(before, {"name": "Ada"}, if_version=None, now=NOW) == (before, ())


def test_a_change_of_what_was_changed_meanwhile_is_refused():
    with pytest.raises(PreconditionFailed):
        patched(contact(version=2), {"name": "Eve"}, if_version=1, now=NOW)


def key(**fields):
    given = {
        "scopes": SCOPES,
        "per_second": None,
        "per_minute": None,
        "per_day": None,
        "date_added": NOW,
        "date_updated": NOW,
    }
    return ApiKey(account_id=new_id(), id=new_id(), digest="0" * 64, **given | fields)


def granted(asked, by):
    caller = Caller(by.account_id, by.id, frozenset(by.scopes), frozenset(by.location_ids))
    return grant(asked, by=by, may=caller.may, now=NOW)


limit = st.none() | st.integers(1, 1000)
end = st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=9)).map(NOW.__add__)
powers = {
    "scopes": st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple),
    "location_ids": st.lists(st.sampled_from([HERE, THERE]), unique=True).map(tuple),
    "per_second": limit,
    "per_minute": limit,
    "per_day": limit,
    "expires_at": end,
}


@given(asked=st.builds(Powers, **powers), by=st.builds(key, **powers))
def test_a_key_never_gives_more_than_it_has(asked, by):
    """Whatever is asked: it is refused, or the new key can do nothing that the old one cannot."""
    try:
        new = granted(asked, by)
    except (Invalid, LocationForbidden, ScopeMissing):
        return
    old = Caller("", "", frozenset(by.scopes), frozenset())
    assert all(old.has_scope(scope) for scope in new.scopes)
    assert not by.location_ids or (new.location_ids and {*new.location_ids} <= {*by.location_ids})
    for name in ("per_second", "per_minute", "per_day", "expires_at"):
        own, given_to = getattr(by, name), getattr(new, name)
        assert own is None or (given_to is not None and given_to <= own)


def test_what_is_asked_within_ones_own_is_given():
    asked = Powers(
        scopes=("calendars.readonly",),
        location_ids=(HERE,),
        per_second=5,
        expires_at=NOW + timedelta(days=1),
    )
    assert granted(asked, key(scopes=("calendars.write",), per_minute=9)) == replace(
        asked, per_minute=9
    )


@pytest.mark.parametrize(
    ("asked", "own", "reason"),
    [
        ({"scopes": ("calendars.write",)}, {"scopes": ("calendars.readonly",)}, ScopeMissing),
        ({"location_ids": (THERE,)}, {"location_ids": (HERE,)}, LocationForbidden),
        ({"per_second": 11}, {"per_second": 10}, Invalid),
        ({"expires_at": NOW}, {}, Invalid),
        ({"expires_at": NOW + timedelta(2)}, {"expires_at": NOW + timedelta(1)}, Invalid),
    ],
)
def test_what_a_key_has_not_it_cannot_give(asked, own, reason):
    with pytest.raises(reason):
        granted(Powers(**{"scopes": ("calendars.readonly",)} | asked), key(**own))


def test_who_is_confined_sees_only_what_lies_within():
    assert contact().within({HERE, THERE})
    assert not contact().within({THERE})
    assert not key().within({HERE})
    assert key().within(())
