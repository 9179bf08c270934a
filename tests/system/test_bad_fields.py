"""Values of the right type that break a rule: each field of each body and query, then the odd ones by name."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.fields import Steps, holding, leaves
from support.offending import ROUTES, Offender, path_of
from support.tenants.bodies import BODIES

pytestmark = pytest.mark.system

WITH_BODY = [route for route in ROUTES if route.body]
OF_ACCOUNTS = ("/locations", "/users", "/contacts", "/api-keys")
"""Who looks at a field's value only when all are there."""
ONE_LINE = {"title", "name", "address", "eventTitle", "formId", "pixelId", "subject"}
LINES = ("a\r\nBcc: b@example.com", "a\nEND:VEVENT", "a\x1b[31m", "a\u2028b", "a\x85b")
NO_TIMES = (
    "2028-03-06T15:00:00",
    "infinity",
    "1735689600",
    1735689600,
    1e30,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2028-03-06T15:00:00+25:00",
    "2027-02-29T15:00:00Z",
)
NO_RULES = (
    "",
    "FREQ=SECONDLY;COUNT=2",
    "FREQ=MINUTELY;COUNT=2",
    "FREQ=HOURLY;COUNT=2",
    "FREQ=DAILY;COUNT=2;INTERVAL=0",
    "FREQ=DAILY;COUNT=2;INTERVAL=-1",
    "FREQ=DAILY;COUNT=2;INTERVAL=1000000000",
    "FREQ=DAILY;COUNT=25",
    "FREQ=DAILY;COUNT=0",
    "FREQ=DAILY",
    "FREQ=DAILY;COUNT=2;UNTIL=20290101T000000Z",
    "FREQ=MONTHLY;COUNT=2;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;COUNT=2;BYSETPOS=1",
    "FREQ=DAILY;COUNT=2;BYEASTER=1",
    "FREQ=DAILY;COUNT=2;BYHOUR=9",
    "FREQ=WEEKLY;COUNT=2;BYDAY=1MO",
    "FREQ=MONTHLY;COUNT=2;BYDAY=6MO",
    "FREQ=MONTHLY;COUNT=2;BYMONTHDAY=-32",
    "FREQ=WEEKLY;COUNT=2;WKST=XX",
    "FREQ=DAILY;COUNT=2\r\nRDATE:20280306T150000Z",
    "DTSTART:20280306T150000Z\nRRULE:FREQ=DAILY;COUNT=2",
    "FREQ=DAILY;FREQ=WEEKLY;COUNT=2",
    "FREQ=WEEKLY;COUNT=2;BYDAY=" + ",".join(["MO"] * 1000),
    "COUNT=2",
    "X" * 10_000,
)  # fmt: skip -- a list to read, not a column
NO_SLUGS = ("", "..", "/", "a b", "a/b", "x" * 300, "\u0430dmin", "%2e", "a\x00", "-a")
NO_ADDRESSES = ("a@b.c, v@x.y", '"a\r\n"@b', "a@[127.0.0.1]", "a", "a@" + "b" * 300 + ".example")
NO_NUMBERS = (-5, 0.1, 1e9, 10**20)
WDAY = {"type": "wday", "day": "monday"}
NO_SCHEDULES: tuple[Any, ...] = (
    [{**WDAY, "intervals": [{"from": "12:00", "to": "09:00"}]}],
    [{**WDAY, "intervals": [{"from": "09:00", "to": "09:00"}]}],
    [{**WDAY, "intervals": [{"from": "09:00", "to": "25:00"}]}],
    [{**WDAY, "intervals": [{"from": "9", "to": "10"}]}],
    [{**WDAY, "day": "funday", "intervals": []}],
    [{"type": "wday", "intervals": []}],
    [{"type": "date", "intervals": []}],
    [{"type": "date", "date": "2028-02-30", "intervals": []}],
    [{"type": "date", "date": "2028-03-06", "intervals": []}] * 2,
    [{**WDAY, "intervals": []}] * 1000,
)
SETTING = {"receiverType": "contact", "channel": "email", "notificationType": "booked"}
NO_SETTINGS: tuple[Mapping[str, Any], ...] = (
    {"subject": "{{7*7}}"},
    {"body": "{{contact.password}}"},
    {"body": "{{ self.__class__ }}"},
    {"body": "x" * 200_000},
    {"additionalEmailIds": ["a@b.c, v@x.y"]},
    {"additionalEmailIds": ["a\r\n@b.example"]},
    {"additionalEmailIds": ["a@" + "b" * 300 + ".example"]},
    {"additionalEmailIds": [f"a{n}@b.example" for n in range(1000)]},
    {"selectedUsers": ["x"] * 1000},
    {"beforeTime": [{"timeOffset": 1e9, "unit": "hours"}]},
    {"beforeTime": [{"timeOffset": 1, "unit": "eons"}]},
    {"additionalPhoneNumbers": ["call me"]},
)
NO_PAGES = {
    "limit": ("0", "-1", "1000001", "ten", "1.5", "1e3", ""),
    "skip": ("-1", "1000000000000", "ten", "1.5", ""),
    "offset": ("-1", "1000000000000", "ten", "1.5", ""),
    "cursor": ("x", "%", "\u2603", "a" * 5000, "MTIzNDU2"),
}
BY_NAME: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    ("POST", "/calendars/events/appointments", "rrule", NO_RULES),
    ("POST", "/locations/", "name", ("", *LINES)),
    ("POST", "/users/", "name", ("", *LINES)),
    ("POST", "/users/", "email", NO_ADDRESSES),
    ("POST", "/contacts/", "name", LINES),
    ("POST", "/contacts/", "email", NO_ADDRESSES),
    ("POST", "/api-keys", "name", LINES),
    ("POST", "/api-keys", "expiresAt", ("0001-01-01T00:00:00Z", "2028-03-06T15:00:00")),
    ("POST", "/calendars/groups", "slug", NO_SLUGS),
    ("POST", "/calendars/groups/validate-slug", "slug", NO_SLUGS),
    ("POST", "/calendars/", "slug", NO_SLUGS[1:]),
    ("POST", "/calendars/", "slotDuration", (0, *NO_NUMBERS)),
    ("POST", "/calendars/", "slotInterval", (0, *NO_NUMBERS)),
    ("POST", "/calendars/", "slotBuffer", NO_NUMBERS),
    ("POST", "/calendars/", "appoinmentPerSlot", (0, 10_000, *NO_NUMBERS)),
    ("POST", "/calendars/", "alertEmail", NO_ADDRESSES),
    ("POST", "/calendars/", "formSubmitRedirectURL", ("javascript:alert(1)", "data:text/html,x")),
    ("POST", "/calendars/", "calendarCoverImage", ("javascript:alert(1)", "file:///etc/passwd")),
    ("POST", "/calendars/schedules", "rules", NO_SCHEDULES),
    ("POST", "/calendars/appointments/{appointmentId}/notes", "body", ("", "x" * 5001)),
    ("POST", "/calendars/{calendarId}/holds", "ttlSeconds", (0, -1, 901, 10**20)),
    ("POST", "/calendars/resources/{resourceType}", "quantity", (-1, 1.5, 10**20)),
    ("POST", "/calendars/resources/{resourceType}", "calendarIds", (["x"] * 101,)),
)
"""Operation, field, and values that it does not take."""


async def check(
    offender: Offender, route: Any, steps: Steps, value: Any, *, at: str | None = None
) -> None:
    """This value alone in a body: 422 that names the field."""
    where = ".".join(map(str, steps))
    body = json.dumps(holding(steps, value)).encode()
    answer = await offender.send(route.method, path_of(route), body)
    what = (route.method, route.path, where, str(value)[:60])
    await offender.refused(what, answer, 422, path=where if at is None else at)


async def test_a_value_that_is_none_of_those_allowed(offender: Offender) -> None:
    """The answer names the field and lists what may stand there."""
    for route in WITH_BODY:
        for steps, rule in leaves(route):
            allowed = rule.get("enum") or ([rule["const"]] if "const" in rule else ())
            for word in _other_words(allowed):
                await check(offender, route, steps, word)


def _other_words(allowed: Any) -> Iterator[Any]:
    """Nearly right: in capitals, of another spelling; or nothing like it."""
    if allowed:
        yield "no-such" if isinstance(allowed[0], str) else 7
    if allowed and isinstance(allowed[0], str):
        yield from (word for word in ("", allowed[0].swapcase(), "canceled") if word not in allowed)


async def test_a_time_that_is_none(offender: Offender) -> None:
    """In every field that holds one; those of keys are looked at among whole bodies."""
    found = 0
    for route in WITH_BODY:
        for steps, rule in leaves(route):
            if rule.get("format") == "date-time" and route.path != "/api-keys":
                found += 1
                for text in NO_TIMES:
                    await check(offender, route, steps, text)
    assert found >= 8


async def test_a_bound_that_is_passed(offender: Offender) -> None:
    """The smallest and the largest number, the longest text, the longest array, each by one."""
    for route in WITH_BODY:
        for steps, rule in leaves(route):
            for value in _beyond(rule):
                await check(offender, route, steps, value)


def _beyond(rule: Mapping[str, Any]) -> Iterator[Any]:
    if "minimum" in rule:
        yield rule["minimum"] - 1
    if "maximum" in rule:
        yield rule["maximum"] + 1
    if "exclusiveMinimum" in rule:
        yield rule["exclusiveMinimum"]
    if "maxLength" in rule:
        yield "x" * (rule["maxLength"] + 1)
    if rule.get("minLength") or not re.search(rule.get("pattern", ""), ""):
        yield ""
    if "maxItems" in rule:
        yield [None] * (rule["maxItems"] + 1)
    if rule.get("type") == "integer":
        yield from (2**63, -(2**63) - 1)


async def test_text_that_cannot_be_kept(offender: Offender) -> None:
    """NUL in any text; line breaks and control characters in what is one line."""
    for route in WITH_BODY:
        for steps, rule in leaves(route):
            if rule.get("type") != "string":
                continue
            # Whatever else is wrong is told before this: any field may be named.
            await check(offender, route, steps, "a\x00b", at="")
            if steps[-1] in ONE_LINE and not route.path.startswith(OF_ACCOUNTS):
                for text in LINES:
                    await check(offender, route, steps, text)


async def test_fields_with_rules_of_their_own(offender: Offender) -> None:
    """In a body that is right but for this field, or in which it is alone."""
    facts = offender.facts
    own = {"location": facts["location_id"], "contact": facts["contact_ids"][0]}
    own |= {"calendar": facts["calendar_id"], "user": facts["user_ids"][0]}
    for method, path, name, values in BY_NAME:
        whole = {} if "{" in path else BODIES[f"{method} {path}"](own)
        for value in values:
            body = json.dumps({**whole, name: value}).encode()
            position = "/".join("0" * 26 if part[:1] == "{" else part for part in path.split("/"))
            answer = await offender.send(method, position, body)
            await offender.refused((path, name, str(value)[:60]), answer, 422, path=name)


async def test_notification_settings_that_cannot_be(offender: Offender) -> None:
    path = "/calendars/{calendarId}/notifications"
    [route] = [r for r in WITH_BODY if (r.method, r.path) == ("POST", path)]
    for said in NO_SETTINGS:
        body = json.dumps([{**SETTING, **said}]).encode()
        answer = await offender.send("POST", path_of(route), body)
        await offender.refused(said, answer, 422, path=f"0.{next(iter(said))}")


async def test_a_kind_of_resource_that_is_none(offender: Offender) -> None:
    """422 that says which there are."""
    position = {"locationId": offender.facts["location_id"]}
    path = "/calendars/resources/cars"
    listed = await offender.send("GET", path, query={**position, "limit": "1", "skip": "0"})
    created = json.dumps({**position, "name": "Car"}).encode()
    for answer in (listed, await offender.send("POST", path, created)):
        await offender.refused("cars", answer, 422, path="resourceType")
        assert set(answer.body["details"][0]["allowed"]) == {"rooms", "equipments"}


async def test_what_is_asked_twice(offender: Offender) -> None:
    """A parameter that is one is said once; one that is a list has an end."""
    for route in ROUTES:
        schema = route.query.model_json_schema(by_alias=True) if route.query else {}
        for name, rule in schema.get("properties", {}).items():
            options = rule.get("anyOf", [rule])
            many = any(option.get("type") == "array" for option in options)
            pairs = "&".join([f"{name}=x"] * (1001 if many else 2))
            answer = await offender.send("GET", f"{path_of(route)}?{pairs}")
            await offender.refused((route.path, name), answer, 422, path=name)


async def test_a_page_that_cannot_be(offender: Offender) -> None:
    """Limits, offsets and cursors on every list that has them."""
    found = 0
    for route, (name, words) in itertools.product(ROUTES, NO_PAGES.items()):
        if route.query is None or name not in route.query.model_fields:
            continue
        found += 1
        good = {"locationId": offender.facts["location_id"], "userId": "0" * 26}
        good |= {"startTime": "1835913600000", "endTime": "1836000000000", "calendarId": "0" * 26}
        good |= {"limit": "1", "skip": "0", "offset": "0"}
        known = {
            n for info in route.query.model_fields.items() for n in (info[1].alias or info[0],)
        }
        for word in words:
            query = {key: said for key, said in {**good, name: word}.items() if key in known}
            answer = await offender.send("GET", path_of(route), query=query)
            statuses = (
                (404, 422) if name == "cursor" else (422,)
            )  # 404: the contact is looked for first
            await offender.refused((route.path, name, word[:20]), answer, *statuses)
    assert found >= 10


async def test_a_question_that_lacks_what_it_needs(offender: Offender) -> None:
    """Each required parameter is named."""
    for route in ROUTES:
        schema = route.query.model_json_schema(by_alias=True) if route.query else {}
        answer = await offender.send("GET", path_of(route)) if schema.get("required") else None
        for name in schema.get("required", ()):
            assert answer is not None
            await offender.refused((route.path, name), answer, 422, path=name)
