"""The API's document and its page are served to anybody, with and without a slash."""

from typing import Any

import pytest
from aiohttp import ClientSession


@pytest.mark.parametrize("end", ["", "/"])
async def test_anybody_may_read_the_document(office: Any, end: str) -> None:
    """As it was written: nothing is added to it."""
    async with (
        ClientSession() as http,
        http.get(f"{office.base_url}/openapi.json{end}") as response,
    ):
        assert response.status == 200
        document = await response.json()
    assert document["openapi"] == "3.1.0"
    assert "/calendars/events/appointments" in document["paths"]
    assert "traceId" not in document


@pytest.mark.parametrize("end", ["", "/"])
async def test_anybody_may_read_the_page(office: Any, end: str) -> None:
    """It may load nothing but itself."""
    async with ClientSession() as http, http.get(f"{office.base_url}/docs{end}") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Create appointment" in await response.text()


async def test_the_address_of_the_api_leads_to_its_documentation(office) -> None:
    """Whoever opens it in a browser has no key, and is shown what there is."""
    async with (
        ClientSession() as http,
        http.get(f"{office.base_url}/", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (302, "/docs")
