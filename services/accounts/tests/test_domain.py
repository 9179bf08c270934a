"""The rules of fields, changes of an entity, and what one key may give to another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.domain.api_keys import ApiKeyEntity, KeyPermissions, grant
from accounts.domain.contacts import ContactEntity
from accounts.domain.entity import patched
from accounts.domain.fields import check_fields, is_name, normalized
from hoop_platform.auth import SCOPES, Caller
from hoop_platform.errors import Invalid, LocationForbidden, PreconditionFailed, ScopeMissing
from hoop_platform.ids import new_id

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
HERE, THERE = new_id(), new_id()


@pytest.mark.parametrize("text", ["", " ", "a" * 201, "Ada\r\nBcc: x", "Ada\u2028", "\x7f"])
def test_a_name_stands_on_one_line(text):
    assert not is_name(text)


def contact(**fields):
    values = {"name": "Ada", "date_added": NOW, "date_updated": NOW} | fields
    return ContactEntity(account_id=new_id(), id=new_id(), location_id=HERE, **values)


def test_every_broken_field_is_named():
    """The refusal lists all problems, each with the path in JSON."""
    bad = contact(name="", email="a,b", phone="x", time_zone="Mars/Base")
    with pytest.raises(Invalid) as refusal:
        check_fields(bad, bad.rules)
    assert [detail.path for detail in refusal.value.details] == [
        "name",
        "email",
        "phone",
        "timeZone",
    ]


def test_fields_are_stored_in_one_form():
    """Both spellings of a domain and of a number are one; what is refused, or empty, stays as it is."""
    for email in ("info@bücher.example", "info@xn--bcher-kva.example"):
        for phone in ("+49 30 123456", "+4930123456"):
            sent = {"email": email, "phone": phone, "time_zone": None, "location_id": HERE}
            stored = {**sent, "email": "info@bücher.example", "phone": "+4930123456"}
            assert normalized(sent, ContactEntity.rules) == stored
    assert normalized({"email": "", "phone": "x"}, ContactEntity.rules) == {
        "email": "",
        "phone": "x",
    }


def test_a_contact_needs_no_address():
    """A contact without address, number and zone is valid."""
    check_fields(contact(), ContactEntity.rules)


def test_a_change_increments_version_and_sequence():
    before = contact(email="ada@example.com")
    later = NOW + timedelta(hours=1)
    after, fields = patched(before, {"name": "Eve", "phone": ""}, if_version=1, now=later)
    named = {"name": "Eve", "first_name": "Eve"}
    assert after == replace(before, version=2, sequence=2, date_updated=later, **named)
    assert fields == ("name", "first_name")


def test_a_change_to_equal_values_is_none():
    before = contact()
    assert patched(before, {"name": "Ada"}, if_version=None, now=NOW) == (before, ())


def test_a_change_of_a_stale_version_is_refused():
    with pytest.raises(PreconditionFailed):
        patched(contact(version=2), {"name": "Eve"}, if_version=1, now=NOW)


def api_key(**fields):
    values = {
        "scopes": SCOPES,
        "per_second": None,
        "per_minute": None,
        "per_day": None,
        "date_added": NOW,
        "date_updated": NOW,
    }
    return ApiKeyEntity(account_id=new_id(), id=new_id(), digest="0" * 64, **values | fields)


def granted(requested, by):
    caller = Caller(by.account_id, by.id, frozenset(by.scopes), frozenset(by.location_ids))
    return grant(requested, by=by, may=caller.has_scope, now=NOW)


limit = st.none() | st.integers(1, 1000)
end = st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=9)).map(NOW.__add__)
permissions = {
    "scopes": st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple),
    "location_ids": st.lists(st.sampled_from([HERE, THERE]), unique=True).map(tuple),
    "per_second": limit,
    "per_minute": limit,
    "per_day": limit,
    "expires_at": end,
}


@given(requested=st.builds(KeyPermissions, **permissions), by=st.builds(api_key, **permissions))
def test_a_key_never_gives_more_than_it_has(requested, by):
    """Whatever is requested: the request is refused, or the new key can do nothing that the old one cannot."""
    try:
        new = granted(requested, by)
    except (Invalid, LocationForbidden, ScopeMissing):
        return
    old = Caller("", "", frozenset(by.scopes), frozenset())
    assert all(old.has_scope(scope) for scope in new.scopes)
    assert not by.location_ids or (new.location_ids and {*new.location_ids} <= {*by.location_ids})
    for name in ("per_second", "per_minute", "per_day", "expires_at"):
        own, granted_value = getattr(by, name), getattr(new, name)
        assert own is None or (granted_value is not None and granted_value <= own)


def test_permissions_within_the_own_are_granted():
    requested = KeyPermissions(
        scopes=("calendars.readonly",),
        location_ids=(HERE,),
        per_second=5,
        expires_at=NOW + timedelta(days=1),
    )
    assert granted(requested, api_key(scopes=("calendars.write",), per_minute=9)) == replace(
        requested, per_minute=9
    )


@pytest.mark.parametrize(
    ("requested", "own", "reason"),
    [
        ({"scopes": ("calendars.write",)}, {"scopes": ("calendars.readonly",)}, ScopeMissing),
        ({"location_ids": (THERE,)}, {"location_ids": (HERE,)}, LocationForbidden),
        ({"per_second": 11}, {"per_second": 10}, Invalid),
        ({"expires_at": NOW}, {}, Invalid),
        ({"expires_at": NOW + timedelta(2)}, {"expires_at": NOW + timedelta(1)}, Invalid),
    ],
)
def test_permissions_beyond_the_own_are_refused(requested, own, reason):
    with pytest.raises(reason):
        granted(KeyPermissions(**{"scopes": ("calendars.readonly",)} | requested), api_key(**own))


def test_a_confined_key_sees_only_what_lies_within():
    assert contact().within({HERE, THERE})
    assert not contact().within({THERE})
    assert not api_key().within({HERE})
    assert api_key().within(())
