"""Notification settings over HTTP: five operations, tenants apart, nonsense refused with its place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from hoop_events.base import Gone
from hoop_events.calendars import Calendar, CalendarChanged, CalendarDeleted
from hoop_platform.http.parse import details
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.events import publish
from local.testing.service import running
from local.testing.tenant import Tenant
from notifications.__main__ import service
from notifications.api.models import CreateNotifications, Notification

MAIL = {"receiverType": "contact", "channel": "email", "notificationType": "confirmation"}
HERE = {"smtp_host": "127.0.0.1", "smtp_tls": "none", "mail_from": "Hoop <hello@hoop.example>"}
NOTIFICATION, NOTIFICATIONS = TypeAdapter(Notification), TypeAdapter(list[Notification])


@pytest.fixture
async def api(new_database, kafka_bootstrap) -> AsyncIterator[str]:
    database = await new_database("notifications")
    async with running(
        service, database=database, kafka_bootstrap=kafka_bootstrap, **HERE
    ) as found:
        yield found[0]


def calendar_of(tenant: Tenant) -> CalendarChanged:
    state = Calendar(
        id=new_id(),
        sequence=1,
        version=1,
        location_id=tenant.location_id,
        time_zone=tenant.time_zone,
        settings={"name": "Talks"},
    )
    return CalendarChanged(account_id=tenant.account_id, state=state)


class Desk:
    """Somebody with a key, who asks about the settings of one calendar."""

    def __init__(self, ask: Client, tenant: Tenant, calendar: str) -> None:
        self.ask, self.tenant, self.path = ask, tenant, f"/calendars/{calendar}/notifications"

    async def __call__(self, method, one="", body=None, **query):
        answer = await self.ask(method, f"{self.path}/{one}".rstrip("/"), body, query=query or None)
        return answer.status, answer.told

    async def made(self, *settings):
        status, told = await self("POST", body=[{**MAIL, **one} for one in settings])
        assert status == 200, told
        return [one["id"] for one in told]


@asynccontextmanager
async def desk(base_url, kafka_bootstrap, **how) -> AsyncIterator[Desk]:
    tenant = Tenant(**how)
    calendar = calendar_of(tenant)
    await publish(kafka_bootstrap, *tenant.events, calendar)
    async with Client(base_url, tenant.api_key) as ask:
        yield Desk(ask, tenant, calendar.state.id)


async def test_a_life_of_a_setting(api, kafka_bootstrap):
    """Made, listed, read, changed, deleted twice, and brought back: shapes and codes of the contract."""
    async with desk(api, kafka_bootstrap) as at:
        body = {**MAIL, "subject": "For {{contact.name}}", "afterTime": [], "fromName": "Talks"}
        status, [made] = await at("POST", body=[body])
        assert status == 200
        assert made["_id"] == made["id"]
        assert (made["isActive"], made["deleted"], made["version"]) == (True, False, 1)
        assert not {"fromName", "fromAddress", "fromNumber"} & made.keys()
        NOTIFICATION.validate_python(made)
        one = made["id"]
        assert await at("GET", one) == (200, made)
        assert await at("GET") == (200, [made])

        status, told = await at("PUT", one, {"isActive": False})
        assert (status, list(told)) == (200, ["message"])
        _, changed = await at("GET", one)
        assert (changed["isActive"], changed["version"]) == (False, 2)
        assert changed["subject"] == made["subject"]
        assert await at("PUT", one, {}) == (200, told)
        assert (await at("GET", one))[1]["version"] == 2

        assert await at("DELETE", one) == await at("DELETE", one)
        assert await at("GET") == (200, [])
        assert [found["deleted"] for found in (await at("GET", deleted="true"))[1]] == [True]
        assert (await at("PUT", one, {"deleted": False}))[0] == 200
        assert len((await at("GET"))[1]) == 1


async def test_lists(api, kafka_bootstrap):
    """Oldest first, in pages; by what is active; other clients' `altType` and `altId` say nothing."""
    async with desk(api, kafka_bootstrap) as at:
        ids = await at.made({}, {"isActive": False}, {"channel": "sms"})
        _, found = await at("GET", altType="calendar", altId="x", limit="100", skip="0")
        assert [one.id for one in NOTIFICATIONS.validate_python(found)] == ids
        _, found = await at("GET", isActive="true")
        assert [one["id"] for one in found] == [ids[0], ids[2]]
        _, found = await at("GET", limit="1", skip="1")
        assert [one["id"] for one in found] == [ids[1]]
        assert (await at("GET", limit="0"))[0] == 422
        assert (await at("GET", skip="-1"))[0] == 422


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        ({"subject": "{{contact.nmae}}"}, "0.subject", "unknown_placeholder"),
        ({"body": "{{7*7}}"}, "0.body", "unknown_placeholder"),
        ({"subject": "Hello\r\nBcc: eve@example.com"}, "0.subject", "value_error"),
        ({"fromName": "x\nX-Evil: 1"}, "0.fromName", "value_error"),
        ({"additionalEmailIds": ["a@b.de, eve@example.com"]}, "0.additionalEmailIds.0", None),
        ({"additionalEmailIds": ["a@b.de"] * 21}, "0.additionalEmailIds", "too_long"),
        ({"receiverType": "everybody"}, "0.receiverType", "literal_error"),
        ({"channel": "pigeon"}, "0.channel", "literal_error"),
        ({"notificationType": None}, "0.notificationType", "literal_error"),
        ({"isActive": "yes"}, "0.isActive", "bool_type"),
        ({"beforeTime": [{"timeOffset": 0, "unit": "hours"}]}, "0.beforeTime.0", None),
        ({"beforeTime": [{"timeOffset": 1, "unit": "fortnights"}]}, "0.beforeTime.0.unit", None),
        ({"selectedUsers": ["sub_account"]}, "0.selectedUsers.0", "unknown_user"),
        ({"additionalPhoneNumbers": ["x"]}, "0.additionalPhoneNumbers.0", None),
        ({"colour": "red"}, "0.colour", "unknown_field"),
    ],
)
def test_what_is_refused(wrong, path, code):
    """Each field has its rule; the refusal names both."""
    with pytest.raises(ValidationError) as refusal:
        CreateNotifications.model_validate_json(orjson.dumps([{**MAIL, **wrong}, MAIL]))
    found = details(refusal.value)[0]
    assert found.path.startswith(path)
    assert code in (None, found.code)


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"subject": "Hello\r\nBcc: eve@example.com"}, "1.subject"),
        ({"selectedUsers": [new_id()]}, "1.selectedUsers.0"),
    ],
)
async def test_all_or_none(api, kafka_bootstrap, wrong, path):
    """422 for one of an array: nothing of it is stored."""
    async with desk(api, kafka_bootstrap) as at:
        status, told = await at("POST", body=[MAIL, {**MAIL, **wrong}])
        assert (status, told["details"][0]["path"]) == (422, path)
        assert await at("GET") == (200, [])


async def test_no_array(api, kafka_bootstrap):
    async with desk(api, kafka_bootstrap) as at:
        assert (await at("POST", body=MAIL))[0] == 422
        assert (await at("POST", body=[MAIL] * 51))[0] == 422
        assert await at("POST", body=[]) == (200, [])


async def test_users_of_the_account_may_be_chosen(api, kafka_bootstrap):
    async with desk(api, kafka_bootstrap) as at:
        chosen = [at.tenant.user_ids[0], "sub_account_admin"]
        [one] = await at.made({"selectedUsers": chosen})
        assert (await at("GET", one))[1]["selectedUsers"] == chosen
        status, told = await at("PUT", one, {"selectedUsers": [new_id()]})
        assert (status, told["details"][0]["path"]) == (422, "selectedUsers.0")


async def test_a_stale_change(api, kafka_bootstrap):
    """`If-Match` with another version than the present one: 412, and nothing is changed."""
    async with desk(api, kafka_bootstrap) as at:
        [one] = await at.made({})
        stale = {"If-Match": '"7"'}
        answer = await at.ask("PUT", f"{at.path}/{one}", {"isActive": False}, headers=stale)
        assert (answer.status, answer.body["code"]) == (412, "stale_version")
        answer = await at.ask("GET", f"{at.path}/{one}")
        assert (answer.headers["ETag"], answer.body["isActive"]) == ('"1"', True)


async def test_foreign_is_as_unknown(api, kafka_bootstrap):
    """Another account's calendar, another calendar's setting, a deleted calendar: 404, the same words."""
    async with desk(api, kafka_bootstrap) as at, desk(api, kafka_bootstrap) as other:
        [mine], [theirs] = await at.made({}), await other.made({})
        unknown = await at("GET", new_id())
        assert unknown[0] == 404
        for method, body in (("GET", None), ("PUT", {"isActive": False}), ("DELETE", None)):
            assert await at(method, theirs, body) == unknown
        at.path = other.path
        for method, one, body in (
            ("GET", "", None),
            ("POST", "", [MAIL]),
            ("GET", theirs, None),
            ("PUT", mine, {"isActive": False}),
            ("DELETE", theirs, None),
        ):
            assert await at(method, one, body) == unknown
        assert (await other("GET", theirs))[1]["isActive"]


async def test_a_deleted_calendar_has_no_settings(api, kafka_bootstrap):
    async with desk(api, kafka_bootstrap) as at:
        await at.made({})
        calendar = at.path.split("/")[2]
        gone = Gone(id=calendar, sequence=2, deleted_at="2027-03-01T09:00:00Z")
        await publish(kafka_bootstrap, CalendarDeleted(account_id=at.tenant.account_id, state=gone))
        while (await at("GET"))[0] != 404:
            pass


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (("calendars.readonly",), 200, 403),
        (("calendars/events.readonly",), 200, 403),
        (("calendars.write",), 200, 200),
        (("calendars/events.write",), 200, 200),
        (("contacts.write",), 403, 403),
    ],
)
async def test_scopes(api, kafka_bootstrap, scopes, reads, writes):
    """Our names of the scopes and the vendor's: either opens."""
    async with desk(api, kafka_bootstrap, scopes=scopes) as at:
        assert (await at("GET"))[0] == reads
        assert (await at("POST", body=[MAIL]))[0] == writes
