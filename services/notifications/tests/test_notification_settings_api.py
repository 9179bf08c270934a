"""Notification settings over HTTP: five operations, separate tenants, refusals with their paths."""

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
from notifications.api.schemas import CreateNotifications, NotificationResponse

MAIL = {"receiverType": "contact", "channel": "email", "notificationType": "confirmation"}
SETTINGS = {"smtp_host": "127.0.0.1", "smtp_tls": "none", "mail_from": "Hoop <hello@hoop.example>"}
NOTIFICATION, NOTIFICATIONS = (
    TypeAdapter(NotificationResponse),
    TypeAdapter(list[NotificationResponse]),
)


@pytest.fixture
async def api(new_database, kafka_bootstrap) -> AsyncIterator[str]:
    database = await new_database("notifications")
    async with running(
        service, database=database, kafka_bootstrap=kafka_bootstrap, **SETTINGS
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


class SettingsClient:
    """A client of one tenant for the settings of one calendar."""

    def __init__(self, client: Client, tenant: Tenant, calendar: str) -> None:
        self.client, self.tenant, self.path = client, tenant, f"/calendars/{calendar}/notifications"

    async def __call__(self, method, setting_id="", body=None, **query):
        path = f"{self.path}/{setting_id}".rstrip("/")
        response = await self.client(method, path, body, query=query or None)
        return response.status, response.content

    async def create(self, *settings):
        """The ids of new settings, each with these fields beside those of MAIL."""
        status, created = await self("POST", body=[{**MAIL, **fields} for fields in settings])
        assert status == 200, created
        return [setting["id"] for setting in created]


@asynccontextmanager
async def settings_client(base_url, kafka_bootstrap, **fields) -> AsyncIterator[SettingsClient]:
    tenant = Tenant(**fields)
    calendar = calendar_of(tenant)
    await publish(kafka_bootstrap, *tenant.events, calendar)
    async with Client(base_url, tenant.api_key) as client:
        yield SettingsClient(client, tenant, calendar.state.id)


async def test_a_setting_from_beginning_to_end(api, kafka_bootstrap):
    """Created, listed, read, changed, deleted twice, restored: shapes and codes of the contract."""
    async with settings_client(api, kafka_bootstrap) as at:
        body = {**MAIL, "subject": "For {{contact.name}}", "afterTime": [], "fromName": "Talks"}
        status, [created] = await at("POST", body=[body])
        assert status == 200
        assert created["_id"] == created["id"]
        assert (created["isActive"], created["deleted"], created["version"]) == (True, False, 1)
        assert not {"fromName", "fromAddress", "fromNumber"} & created.keys()
        NOTIFICATION.validate_python(created)
        setting_id = created["id"]
        assert await at("GET", setting_id) == (200, created)
        assert await at("GET") == (200, [created])

        status, updated = await at("PUT", setting_id, {"isActive": False})
        assert (status, list(updated)) == (200, ["message"])
        _, changed = await at("GET", setting_id)
        assert (changed["isActive"], changed["version"]) == (False, 2)
        assert changed["subject"] == created["subject"]
        assert await at("PUT", setting_id, {}) == (200, updated)
        assert (await at("GET", setting_id))[1]["version"] == 2

        assert await at("DELETE", setting_id) == await at("DELETE", setting_id)
        assert await at("GET") == (200, [])
        assert [found["deleted"] for found in (await at("GET", deleted="true"))[1]] == [True]
        assert (await at("PUT", setting_id, {"deleted": False}))[0] == 200
        assert len((await at("GET"))[1]) == 1


async def test_lists(api, kafka_bootstrap):
    """Oldest first, in pages; filtered by `isActive`; `altType` and `altId` of older clients are ignored."""
    async with settings_client(api, kafka_bootstrap) as at:
        ids = await at.create({}, {"isActive": False}, {"channel": "sms"})
        _, found = await at("GET", altType="calendar", altId="x", limit="100", skip="0")
        assert [setting.id for setting in NOTIFICATIONS.validate_python(found)] == ids
        _, found = await at("GET", isActive="true")
        assert [setting["id"] for setting in found] == [ids[0], ids[2]]
        _, found = await at("GET", limit="1", skip="1")
        assert [setting["id"] for setting in found] == [ids[1]]
        assert (await at("GET", limit="0"))[0] == 422
        assert (await at("GET", skip="-1"))[0] == 422


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        ({"subject": "{{contact.nmae}}"}, "0.subject", "unknown_placeholder"),
        ({"body": "{{7*7}}"}, "0.body", "unknown_placeholder"),
        ({"subject": "Hello\r\nBcc: eve@example.com"}, "0.subject", "one_line"),
        ({"fromName": "x\nX-Evil: 1"}, "0.fromName", "one_line"),
        ({"additionalEmailIds": ["a@b.de, eve@example.com"]}, "0.additionalEmailIds.0", None),
        ({"additionalEmailIds": ["a@b.de"] * 21}, "0.additionalEmailIds", "too_long"),
        ({"receiverType": "everybody"}, "0.receiverType", "literal_error"),
        ({"channel": "pigeon"}, "0.channel", "literal_error"),
        ({"notificationType": None}, "0.notificationType", "literal_error"),
        ({"isActive": "yes"}, "0.isActive", "boolean_type"),
        ({"beforeTime": [{"timeOffset": 0, "unit": "hours"}]}, "0.beforeTime.0", None),
        ({"beforeTime": [{"timeOffset": 1, "unit": "fortnights"}]}, "0.beforeTime.0.unit", None),
        ({"selectedUsers": ["sub_account"]}, "0.selectedUsers.0", "unknown_user"),
        ({"additionalPhoneNumbers": ["x"]}, "0.additionalPhoneNumbers.0", None),
        ({"colour": "red"}, "0.colour", "unknown_field"),
    ],
)
def test_invalid_fields(wrong, path, code):
    """The refusal names the field and the rule."""
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
    """422 for one setting of an array: none of the array is stored."""
    async with settings_client(api, kafka_bootstrap) as at:
        status, refusal = await at("POST", body=[MAIL, {**MAIL, **wrong}])
        assert (status, refusal["details"][0]["path"]) == (422, path)
        assert await at("GET") == (200, [])


async def test_no_array(api, kafka_bootstrap):
    async with settings_client(api, kafka_bootstrap) as at:
        assert (await at("POST", body=MAIL))[0] == 422
        assert (await at("POST", body=[MAIL] * 51))[0] == 422
        assert await at("POST", body=[]) == (200, [])


async def test_users_of_the_account_may_be_selected(api, kafka_bootstrap):
    async with settings_client(api, kafka_bootstrap) as at:
        selected = [at.tenant.user_ids[0], "sub_account_admin"]
        [setting_id] = await at.create({"selectedUsers": selected})
        assert (await at("GET", setting_id))[1]["selectedUsers"] == selected
        status, refusal = await at("PUT", setting_id, {"selectedUsers": [new_id()]})
        assert (status, refusal["details"][0]["path"]) == (422, "selectedUsers.0")


async def test_a_stale_change(api, kafka_bootstrap):
    """`If-Match` with another version than the present one: 412, and the setting is unchanged."""
    async with settings_client(api, kafka_bootstrap) as at:
        [setting_id] = await at.create({})
        stale = {"If-Match": '"7"'}
        response = await at.client(
            "PUT", f"{at.path}/{setting_id}", {"isActive": False}, headers=stale
        )
        assert (response.status, response.body["code"]) == (412, "stale_version")
        response = await at.client("GET", f"{at.path}/{setting_id}")
        assert (response.headers["ETag"], response.body["isActive"]) == ('"1"', True)


async def test_foreign_ids_are_unknown(api, kafka_bootstrap):
    """Another account's calendar and another calendar's setting get the 404 of an unknown id."""
    async with (
        settings_client(api, kafka_bootstrap) as at,
        settings_client(api, kafka_bootstrap) as other,
    ):
        [mine], [theirs] = await at.create({}), await other.create({})
        unknown = await at("GET", new_id())
        assert unknown[0] == 404
        for method, body in (("GET", None), ("PUT", {"isActive": False}), ("DELETE", None)):
            assert await at(method, theirs, body) == unknown
        at.path = other.path.replace(other.path.split("/")[2], new_id())
        no_calendar = await at("GET", new_id())
        assert no_calendar[0] == 404
        at.path = other.path
        for method, setting_id, body in (
            ("GET", "", None),
            ("POST", "", [MAIL]),
            ("GET", theirs, None),
            ("PUT", mine, {"isActive": False}),
            ("DELETE", theirs, None),
        ):
            assert await at(method, setting_id, body) == no_calendar
        assert (await other("GET", theirs))[1]["isActive"]


async def test_a_deleted_calendar_has_no_settings(api, kafka_bootstrap):
    async with settings_client(api, kafka_bootstrap) as at:
        await at.create({})
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
    """Our scope and the vendor's: either is enough."""
    async with settings_client(api, kafka_bootstrap, scopes=scopes) as at:
        assert (await at("GET"))[0] == reads
        assert (await at("POST", body=[MAIL]))[0] == writes
