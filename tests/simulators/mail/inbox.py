"""The inbox over HTTP: mails as JSON for tests, and an HTML page for people (escaped)."""

import html

from aiohttp import web

from simulators.mail.messages import MailMessage

STYLE = "body{font:16px system-ui;max-width:50rem;margin:2rem auto}article{border-top:1px solid}"


def inbox_routes(messages: list[MailMessage]) -> list[web.RouteDef]:
    async def inbox(request: web.Request) -> web.Response:
        return web.Response(text=_page(messages), content_type="text/html")

    async def get_messages(request: web.Request) -> web.Response:
        return web.json_response([message.as_json() for message in messages])

    async def get_source(request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        message = next((m for m in messages if m.id == wanted), None)
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        raw = message.raw.encode("utf-8", "surrogateescape")
        return web.Response(body=raw, content_type="text/plain", charset="utf-8")

    async def delete_messages(request: web.Request) -> web.Response:
        messages.clear()
        return web.Response(status=204)

    return [
        web.get("/", inbox),
        web.get("/_sim/messages", get_messages),
        web.get("/_sim/messages/{id}/source", get_source),
        web.delete("/_sim/messages", delete_messages),
    ]


def _page(messages: list[MailMessage]) -> str:
    """The HTML page of all mails, newest first."""
    head = f"<!DOCTYPE html><meta charset=utf-8><title>Inbox</title><style>{STYLE}</style>"
    title = f"<h1>{len(messages)} messages</h1>"
    return head + title + "".join(_article(message) for message in reversed(messages))


def _article(message: MailMessage) -> str:
    shown = message.as_json()
    to = ", ".join(message.recipients)
    seen = (message.at, message.sender, to, shown["subject"], shown["text"] or "")
    at, sender, to, subject, text = (html.escape(part) for part in seen)
    source = f'<a href="/_sim/messages/{message.id}/source">source</a>'
    head = f"<h2>{subject}</h2><p>{at} · from {sender} · to {to} · {source}</p>"
    return f"<article>{head}<pre>{text}</pre></article>"
