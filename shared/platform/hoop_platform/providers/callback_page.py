"""The page of the OAuth callback: one sentence, and no referrer that would leak the code."""

from html import escape
from urllib.parse import urlencode

from hoop_platform.http.route import Reply
from hoop_platform.providers.provider_accounts import ProviderAccount

_HEADERS = {
    "Referrer-Policy": "no-referrer",  # the URL holds a code
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


def callback_page(sentence: str, *, status: int = 200) -> Reply:
    """An HTML page with the sentence, escaped, since parts of it come from providers."""
    title = "Connected" if status == 200 else "Not connected"
    text = f"<!DOCTYPE html><title>{title}</title><h1>{title}</h1><p>{escape(sentence)}</p>"
    return Reply(text, status=status, headers=_HEADERS, content_type="text/html")


def redirect_page(url: str, connection: ProviderAccount) -> Reply:
    """A redirect to `return_to` with the connection's id and status in its query."""
    query = urlencode({"connectionId": connection.id, "status": connection.status})
    target = f"{url}{'&' if '?' in url else '?'}{query}"
    return Reply("", status=303, headers={**_HEADERS, "Location": target}, content_type="text/html")
