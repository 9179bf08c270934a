"""Notes on appointments: written, read page by page, changed, deleted; never announced."""

from typing import Any

import pytest

from hoop_platform.ids import new_id


async def appointment(office: Any, minutes: int = 0) -> str:
    response = await office.book(await office.calendar(), minutes)
    assert response.status == 200, response.body
    return str(response.body["id"])


def notes(of: str) -> str:
    return f"/calendars/appointments/{of}/notes"


async def written(office: Any, of: str, **fields: Any) -> dict[str, Any]:
    response = await office.request("POST", notes(of), {"body": "Bring the X-rays.", **fields})
    assert response.status == 201, response.body
    note: dict[str, Any] = response.body["note"]
    return note


async def page(office: Any, of: str, limit: int, offset: int) -> tuple[list[str], bool]:
    query = {"limit": str(limit), "offset": str(offset)}
    response = await office.request("GET", notes(of), query=query)
    assert response.status == 200, response.body
    return [note["body"] for note in response.body["notes"]], response.body["hasMore"]


async def test_a_note_is_shown_as_it_was_written(office: Any) -> None:
    """With its user, or, where none was named, the key that wrote it."""
    of, user = await appointment(office), office.tenant.user_ids[0]
    note = await written(office, of, userId=user)
    assert note["body"] == "Bring the X-rays."
    assert note["contactId"] == office.tenant.contact_ids[0]
    assert (note["userId"], note["createdBy"]) == (user, {"id": user, "name": "Uma User"})
    anonymous = await written(office, of)
    assert anonymous["createdBy"] == {"id": office.tenant.key_id, "name": ""}
    response = await office.request("GET", notes(of), query={"limit": "20", "offset": "0"})
    assert response.content == {"notes": [anonymous, note], "hasMore": False}


async def test_pages_of_notes(office: Any) -> None:
    """The newest first; `hasMore` says whether another page holds any."""
    of = await appointment(office)
    for n in range(5):
        await written(office, of, body=f"{n}")
    assert await page(office, of, 2, 0) == (["4", "3"], True)
    assert await page(office, of, 2, 2) == (["2", "1"], True)
    assert await page(office, of, 2, 3) == (["1", "0"], False)
    assert await page(office, of, 20, 5) == ([], False)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "limit"),
        ({"limit": "20"}, "offset"),
        ({"limit": "21", "offset": "0"}, "limit"),
        ({"limit": "0", "offset": "0"}, "limit"),
        ({"limit": "20", "offset": "-1"}, "offset"),
        ({"limit": "20", "offset": "1000000000000"}, "offset"),
    ],
)
async def test_no_page_at_all(office: Any, fields: dict[str, str], path: str) -> None:
    response = await office.request("GET", notes(new_id()), query=fields)
    assert response.status == 422
    assert path in [detail["path"] for detail in response.body["details"]]


async def test_a_note_is_written_anew(office: Any) -> None:
    """What is not sent stays; what is the same changes nothing; a stale version is refused."""
    of, user = await appointment(office), office.tenant.user_ids[0]
    note = await written(office, of, userId=user)
    path = f"{notes(of)}/{note['id']}"
    changed = (await office.request("PUT", path, {"body": "Bring nothing."})).body["note"]
    assert (changed["body"], changed["userId"], changed["version"]) == ("Bring nothing.", user, 2)
    for same in ({}, {"body": "Bring nothing."}):
        assert (await office.request("PUT", path, same)).body["note"] == changed
    other = office.tenant.user_ids[1]
    fresh = await office.request("PUT", path, {"userId": other}, headers={"If-Match": '"2"'})
    assert (fresh.body["note"]["userId"], fresh.headers["ETag"]) == (other, '"3"')
    stale = await office.request("PUT", path, {"body": "No."}, headers={"If-Match": '"2"'})
    assert (stale.status, stale.body["code"]) == (412, "stale_version")
    assert (await page(office, of, 20, 0))[0] == ["Bring nothing."]


async def test_a_deleted_note_is_gone_and_stays_deleted(office: Any) -> None:
    """The second DELETE has the response of the first; the note cannot be changed; its text is gone."""
    of = await appointment(office)
    path = f"{notes(of)}/{(await written(office, of))['id']}"
    for _ in range(2):
        response = await office.request("DELETE", path)
        assert (response.status, response.content) == (200, {"success": True})
    assert (await office.request("PUT", path, {"body": "Again."})).status == 404
    assert await page(office, of, 20, 0) == ([], False)
    assert await office.runtime.db.fetchval("SELECT body FROM note") == ""


async def test_a_note_is_found_with_its_own_appointment_only(office: Any) -> None:
    """An unknown note, another appointment's, or a literal `{noteId}` is 404; so is no appointment."""
    of, other = await appointment(office), await appointment(office, 60)
    note = (await written(office, of))["id"]
    for where, which in (
        (other, note),
        (new_id(), note),
        ("nonsense", note),
        (of, new_id()),
        (of, "%7BnoteId%7D"),
    ):
        for method, body in (("PUT", {"body": "No."}), ("DELETE", None)):
            response = await office.request(method, f"{notes(where)}/{which}", body)
            assert (response.status, response.body["code"]) == (404, "not_found"), (where, which)
    for where in (new_id(), "nonsense"):
        query = {"limit": "20", "offset": "0"}
        assert (await office.request("GET", notes(where), query=query)).status == 404
        assert (await office.request("POST", notes(where), {"body": "No."})).status == 404
    assert (await page(office, of, 20, 0))[0] == ["Bring the X-rays."]


async def test_with_the_appointment_go_its_notes(office: Any) -> None:
    of = await appointment(office)
    path = f"{notes(of)}/{(await written(office, of))['id']}"
    await office.request("DELETE", f"/calendars/events/{of}")
    query = {"limit": "20", "offset": "0"}
    asked = [("GET", notes(of), None), ("POST", notes(of), {"body": "x"}), ("PUT", path, {})]
    for method, where, body in asked:
        response = await office.request(method, where, body, query=query)
        assert response.status == 404, method


@pytest.mark.parametrize(
    ("fields", "path", "code"),
    [
        ({"body": ""}, "body", "string_too_short"),
        ({"body": "x" * 5001}, "body", "string_too_long"),
        ({"body": "a\0b"}, "body", "unstorable_text"),
        ({"userId": new_id()}, "userId", "unknown_user"),
        ({"userId": "nonsense"}, "userId", "unknown_user"),
        ({"id": "x"}, "id", "unknown_field"),
    ],
)
async def test_what_no_note_can_be(office: Any, fields: Any, path: str, code: str) -> None:
    """Neither when it is written nor when it is changed."""
    of = await appointment(office)
    note = await written(office, of)
    for method, where in (("POST", notes(of)), ("PUT", f"{notes(of)}/{note['id']}")):
        response = await office.request(method, where, {"body": "x", **fields})
        assert response.status == 422
        assert [(d["path"], d["code"]) for d in response.body["details"]] == [(path, code)]
    assert (await office.request("POST", notes(of), {})).status == 422
    assert (await page(office, of, 20, 0))[0] == ["Bring the X-rays."]


async def test_a_note_is_nobody_else_s_business(office: Any) -> None:
    """Line breaks, markup and 5,000 characters are kept as they are, and nothing is announced."""
    of = await appointment(office)
    before = await office.announced(of)
    text = "<script>{{7*7}}</script>\r\nBcc: x\n".ljust(5000, "\u2603")
    note = await written(office, of, body=text)
    assert note["body"] == text
    await office.request("DELETE", f"{notes(of)}/{note['id']}")
    assert await office.announced(of) == before
    announced = await office.runtime.db.fetchval(
        "SELECT count(*) FROM announced WHERE subject = $1", note["id"]
    )
    assert announced == 0
