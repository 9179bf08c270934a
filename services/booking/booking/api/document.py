"""The API's document, of all services, and a page to read it."""

from functools import cache
from importlib.resources import files

import orjson

from hoop_platform.http.openapi.page import page
from hoop_platform.http.route import Call, Reply, Route

MEDIA = "application/vnd.oai.openapi+json"
_ONLY_ITSELF = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@cache
def _document() -> bytes:
    """Written by `./hoop openapi` from the tables of all services: booking knows its own only."""
    return (files(__package__) / "openapi.json").read_bytes()


@cache
def _page() -> str:
    return page(orjson.loads(_document()))


async def get_document(_: Call) -> Reply:
    return Reply(_document(), content_type=MEDIA)


async def get_page(_: Call) -> Reply:
    return Reply(
        _page(), content_type="text/html", headers={"Content-Security-Policy": _ONLY_ITSELF}
    )


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        get_document,
        None,
        summary="This document, for programs",
        media=MEDIA,
    ),
    Route("GET", "/docs", get_page, None, summary="This document, for people", media="text/html"),
)
