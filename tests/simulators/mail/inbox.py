"""The inbox over HTTP: mails as JSON for tests, and as pages for people (everything escaped)."""

import html
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from aiohttp import web

from simulators.mail.messages import MailMessage

PAGE = 50  # mails on one page of the list
STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:0;background:#f5f6f8;color:#1d2733}
main{max-width:60rem;margin:1.5rem auto;background:#fff;border:1px solid #dde1e7;border-radius:8px}
header,section,nav{padding:1rem 1.25rem}h1{font-size:1.25rem;margin:0 0 .5rem}h2{font-size:1rem}
table{border-collapse:collapse;width:100%}td{padding:.55rem 1.25rem;border-top:1px solid #e8ebef}
tr:hover td{background:#f0f5ff}a{color:#1554c0;text-decoration:none}.dim{color:#66717f}
td.when,td.to{white-space:nowrap;color:#66717f}input{font:inherit;padding:.3rem .6rem;width:20rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}section{border-top:1px solid #e8ebef}
iframe{width:100%;height:22rem;border:1px solid #e8ebef}
"""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self';"
    " form-action 'self'; base-uri 'none'"
}


def inbox_routes(messages: list[MailMessage]) -> list[web.RouteDef]:
    async def inbox(request: web.Request) -> web.Response:
        return _html(_list_page(messages, request.query.get("q", ""), _number(request, "page", 1)))

    async def message_page(request: web.Request) -> web.Response:
        return _html(_message_page(_wanted(messages, request)))

    async def get_messages(request: web.Request) -> web.Response:
        found = list(_matching(messages, request.query))
        last = _number(request, "last", len(found))
        return web.json_response([message.as_json() for message in found[-last:] if last])

    async def get_source(request: web.Request) -> web.Response:
        raw = _wanted(messages, request).raw.encode("utf-8", "surrogateescape")
        return web.Response(body=raw, content_type="text/plain", charset="utf-8")

    async def delete_messages(request: web.Request) -> web.Response:
        messages.clear()
        return web.Response(status=204)

    return [
        web.get("/", inbox),
        web.get("/messages/{id}", message_page),
        web.get("/_sim/messages", get_messages),
        web.get("/_sim/messages/{id}/source", get_source),
        web.delete("/_sim/messages", delete_messages),
    ]


def _matching(messages: Sequence[MailMessage], query: Mapping[str, str]) -> Iterator[MailMessage]:
    """The mails whose source and receivers contain what the query asks for; none is parsed for it."""
    words, to = query.get("contains", ""), query.get("to")
    return (m for m in messages if words in m.raw and (to is None or to in m.recipients))


def _wanted(messages: Sequence[MailMessage], request: web.Request) -> MailMessage:
    wanted = request.match_info["id"]
    message = next((m for m in messages if m.id == wanted), None)
    if message is None:
        raise web.HTTPNotFound(text="no such message")
    return message


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return max(int(text), 0) if text.isdecimal() else default


def _html(body: str) -> web.Response:
    head = f"<!DOCTYPE html><meta charset=utf-8><title>Inbox</title><style>{STYLE}</style>"
    return web.Response(
        text=f"{head}<main>{body}</main>", content_type="text/html", headers=HEADERS
    )


def _list_page(messages: Sequence[MailMessage], words: str, page: int) -> str:
    """One page of the list, newest first."""
    found = [m for m in messages if m.mentions(words)] if words else messages
    newest = len(found) - (max(page, 1) - 1) * PAGE
    shown = found[max(newest - PAGE, 0) : max(newest, 0)]
    sought = f" of {len(messages)}" if words else ""
    search = (
        f'<form><input name=q value="{html.escape(words)}" placeholder="subject or address"'
        " aria-label=Search></form>"
    )
    rows = "".join(_row(message) for message in reversed(shown))
    head = f"<header><h1>Inbox: {len(found)}{sought} mails</h1>{search}</header>"
    empty = "<section class=dim>No mail yet. Book an appointment: ./hoop book</section>"
    turn = _turn(words, max(page, 1), older=newest > PAGE)
    return head + (f"<table>{rows}</table>{turn}" if rows else empty)


def _turn(words: str, page: int, *, older: bool) -> str:
    """The links to the pages before and after."""
    steps = {"← newer": page - 1 if page > 1 else 0, "older →": page + 1 if older else 0}
    links = [
        f'<a href="/?{html.escape(urlencode({"q": words, "page": number}))}">{text}</a>'
        for text, number in steps.items()
        if number
    ]
    return f"<nav>{' · '.join(links)}</nav>" if links else ""


def _row(message: MailMessage) -> str:
    subject = html.escape(message.subject or "(no subject)")
    to = html.escape(", ".join(message.recipients))
    when = html.escape(message.at[:19].replace("T", " "))
    link = f'<a href="/messages/{message.id}">{subject}</a>'
    return f"<tr><td>{link}<td class=to>{to}<td class=when>{when}"


def _message_page(message: MailMessage) -> str:
    """One mail: envelope, text, HTML in a frame without scripts, and the invitation."""
    shown = message.as_json()
    to = ", ".join(message.recipients)
    envelope = f"from {shown['headers'].get('From', message.sender)} · to {to} · {message.at}"
    source = f'<a href="/_sim/messages/{message.id}/source">source</a>'
    head = (
        f'<header><p><a href="/">← inbox</a></p><h1>{html.escape(shown["subject"])}</h1>'
        f"<p class=dim>{html.escape(envelope)} · {source}</p></header>"
    )
    framed = shown["html"] and f'<iframe sandbox srcdoc="{html.escape(shown["html"])}"></iframe>'
    parts = {
        "Text": shown["text"] and f"<pre>{html.escape(shown['text'])}</pre>",
        "HTML": framed,
        "Invitation": shown["ics"] and f"<pre>{html.escape(shown['ics'])}</pre>",
    }
    sections = (f"<section><h2>{name}</h2>{part}</section>" for name, part in parts.items() if part)
    return head + "".join(sections)
