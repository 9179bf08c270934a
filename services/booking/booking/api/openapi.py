"""The OpenAPI document of all services, and a page that renders it."""

from functools import cache
from importlib.resources import files

import orjson

from hoop_platform.http.openapi.page import page
from hoop_platform.http.route import AnyCall, Reply, Route

MEDIA = "application/vnd.oai.openapi+json"
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


@cache
def _document() -> bytes:
    """The file that `./hoop openapi --write` generates from the routes of all services."""
    return (files(__package__) / "openapi.json").read_bytes()


@cache
def _page() -> str:
    return page(orjson.loads(_document()))


async def get_document(_: AnyCall) -> Reply:
    return Reply(_document(), content_type=MEDIA)


async def get_page(_: AnyCall) -> Reply:
    return Reply(
        _page(),
        content_type="text/html",
        headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY},
    )


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        get_document,
        None,
        summary="Get OpenAPI document",
        media=MEDIA,
    ),
    Route("GET", "/docs", get_page, None, summary="Get documentation page", media="text/html"),
)
