"""The mail sink: stores mails, refuses or loses them on demand, shows them escaped."""

import time
from collections.abc import AsyncIterator
from email.message import EmailMessage

import aiohttp
import aiosmtplib
import pytest

from simulators.client import control
from simulators.mail.messages import MailMessage
from simulators.mail.simulator import MailSink, serve

ICS = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:a@b\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def mail(*, to: str = "bob@example.com", subject: str = "Grüße") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "desk@example.com"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = "<one@example.com>"
    message.set_content("See you at nine, naïvely.")
    message.add_alternative("<p>See you <b>at nine</b></p>", subtype="html")
    message.add_attachment(
        ICS, subtype="calendar", filename="invite.ics", params={"method": "REQUEST"}
    )
    return message


async def send(sink: MailSink, message: EmailMessage, *, patience: float = 5) -> None:
    host, _, port = sink.smtp.partition(":")
    await aiosmtplib.send(message, hostname=host, port=int(port), timeout=patience)


async def test_a_mail_is_stored_with_all_its_parts(sink, http):
    """Envelope, headers, both bodies, the invitation and the source can be read."""
    await send(sink, mail())
    (kept,) = await control(http, sink, "GET messages")
    assert (kept["from"], kept["to"]) == ("desk@example.com", ["bob@example.com"])
    assert (kept["subject"], kept["message_id"]) == ("Grüße", "<one@example.com>")
    assert kept["text"].strip() == "See you at nine, naïvely."
    assert "<b>at nine</b>" in kept["html"]
    assert kept["ics"] == ICS
    (attached,) = kept["attachments"]
    assert (attached["filename"], attached["type"]) == ("invite.ics", "text/calendar")
    assert attached["parameters"]["method"] == "REQUEST"
    assert "multipart/mixed" in kept["raw"]
    async with http.get(f"{sink.url}/_sim/messages/{kept['id']}/source") as response:
        assert await response.text() == kept["raw"]


async def test_the_inbox_can_be_emptied(sink, http):
    """By `DELETE`, and by a reset."""
    await send(sink, mail())
    await control(http, sink, "DELETE messages")
    assert await control(http, sink, "GET messages") == []
    await send(sink, mail())
    await control(http, sink, "POST reset")
    assert (await control(http, sink, "GET state"))["messages"] == []


async def test_the_page_for_people_escapes_everything(sink, http):
    """A mail full of markup is shown as text."""
    message = mail(subject="<script>alert(1)</script>")
    message.get_body(("plain",)).set_content("<img src=x onerror=alert(2)>")
    await send(sink, message)
    (kept,) = await control(http, sink, "GET messages")
    for path in ("/", f"/messages/{kept['id']}"):
        async with http.get(sink.url + path) as response:
            page = await response.text()
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page


async def test_the_page_of_a_mail_shows_text_html_and_invitation(sink, http):
    """The HTML in a frame that runs no scripts."""
    await send(sink, mail())
    (kept,) = await control(http, sink, "GET messages")
    async with http.get(f"{sink.url}/messages/{kept['id']}") as response:
        page = await response.text()
    assert "See you at nine, naïvely." in page
    assert "<iframe sandbox srcdoc=" in page
    assert "BEGIN:VCALENDAR" in page


async def test_messages_are_found_without_reading_all(sink, http):
    """By words of the source, by receiver, and the last ones alone."""
    for name in ("ada", "bob", "eve"):
        await send(sink, mail(to=f"{name}@example.com", subject=f"To {name}"))

    async def receivers(query: str) -> list[str]:
        return [m["to"][0][:3] for m in await control(http, sink, f"GET messages?{query}")]

    assert await receivers("contains=To+bob") == ["bob"]
    assert await receivers("to=eve@example.com") == ["eve"]
    assert await receivers("last=2") == ["bob", "eve"]
    assert await receivers("last=0") == []


async def test_an_inbox_of_ten_thousand_mails_is_turned_page_by_page(sink, http):
    """Each page is there at once, and a search finds an encoded subject."""
    await send(sink, mail())
    [one] = sink.messages
    sink.messages += [
        MailMessage(f"{n:016x}", one.at, one.sender, [f"guest{n}@example.com"], one.raw)
        for n in range(10_000)
    ]
    texts = {}
    for query in ("", "?page=2", "?page=201", "?q=guest77%40", "?q=gr%C3%BCsse", "?q=gr%C3%BC"):
        begin = time.process_time()  # of this process, which serves the page; others may be busy
        async with http.get(f"{sink.url}/{query}") as response:
            texts[query] = await response.text()
        assert time.process_time() - begin < 1
    rows = {query: text.count("<tr>") for query, text in texts.items()}
    assert rows == {
        "": 50,
        "?page=2": 50,
        "?page=201": 1,
        "?q=guest77%40": 1,
        "?q=gr%C3%BCsse": 50,
        "?q=gr%C3%BC": 50,
    }
    assert "older →" in texts[""]
    assert "← newer" not in texts[""]
    assert "older →" not in texts["?page=201"]


@pytest.mark.parametrize("code", [451, 550])
async def test_a_recipient_is_refused_on_demand(sink, http, code):
    """With the test's reply; mails to others are accepted."""
    fault = {"match": {"rcpt": "^bob@"}, "do": f"reply:{code} 4.3.0 Not today"}
    await control(http, sink, "POST faults", fault)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await send(sink, mail())
    assert caught.value.recipients[0].code == code
    await send(sink, mail(to="eve@example.com"))
    assert [m["to"] for m in await control(http, sink, "GET messages")] == [["eve@example.com"]]
    log = await control(http, sink, "GET log?verb=RCPT")
    assert [e["reply"] for e in log] == [f"{code} 4.3.0 Not today", "250 OK"]


async def test_content_is_refused_on_demand(sink, http):
    """`data-reply` refuses after the content, and stores nothing."""
    await control(http, sink, "POST faults", {"do": "data-reply:552 5.3.4 Too big", "times": 1})
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await send(sink, mail())
    assert caught.value.code == 552
    assert await control(http, sink, "GET messages") == []


@pytest.mark.parametrize(
    ("do", "kept"), [("drop", 0), ("drop-after-data", 1), ("hang", 0), ("hang-after-data", 1)]
)
async def test_a_reply_may_never_be_sent(sink, http, do, kept):
    """No reply for the sender; with `-after-data` the mail is stored all the same."""
    await control(http, sink, "POST faults", {"do": do, "times": 1})
    with pytest.raises(aiosmtplib.SMTPException):
        await send(sink, mail(), patience=0.3)
    assert len(await control(http, sink, "GET messages")) == kept
    (faulted,) = [e for e in await control(http, sink, "GET log") if e["fault"]]
    assert faulted["reply"] is None
    await send(sink, mail())


async def test_a_hang_that_ends_accepts_the_mail(sink, http):
    """`hang:0.1` only delays the reply."""
    await control(http, sink, "POST faults", {"do": "hang:0.1"})
    await send(sink, mail())
    assert len(await control(http, sink, "GET messages")) == 1


@pytest.mark.parametrize("fault", [{"do": "reply:999 x"}, {"do": "drop", "match": {"rcpt": "("}}])
async def test_a_wrong_fault_is_refused(sink, http, fault):
    """400 for an unknown fault or an invalid regular expression."""
    with pytest.raises(ValueError, match="error"):
        await control(http, sink, "POST faults", fault)
