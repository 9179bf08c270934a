"""Watch channels: who is notified of changes in a calendar, by POST requests without a body."""

import asyncio
import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from simulators.clock import SimClock
from simulators.google import errors
from simulators.google.calendars import GoogleCalendar
from simulators.google.event_fields import Fields
from simulators.google.knobs import GoogleKnobs

CHANNEL_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
DEFAULT_TTL = timedelta(days=7)
MAX_TOKEN = 256
RETRIED_STATUSES = (500, 502, 503, 504)
RETRY_DELAYS = (0.2, 1.0)  # seconds between the attempts; Google's are longer
POST_TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass
class Channel:
    """A channel that was opened by `events.watch`."""

    id: str
    calendar_id: str
    user: str
    address: str
    token: str | None
    resource_id: str
    resource_uri: str
    expires_at: datetime
    number: int = 0  # of the last message

    @property
    def expiration(self) -> str:
        """Unix milliseconds, as a string: Google's JSON has int64 as strings."""
        return str(int(self.expires_at.timestamp() * 1000))

    def as_json(self) -> Fields:
        """The body of the response to `events.watch`."""
        token = {} if self.token is None else {"token": self.token}
        return {
            "kind": "api#channel",
            "id": self.id,
            "resourceId": self.resource_id,
            "resourceUri": self.resource_uri,
            "expiration": self.expiration,
            **token,
        }

    def message(self, state: str) -> dict[str, str]:
        """The headers of the next message, which has no body."""
        self.number += 1
        token = {} if self.token is None else {"X-Goog-Channel-Token": self.token}
        return {
            "X-Goog-Channel-ID": self.id,
            "X-Goog-Channel-Expiration": self.expires_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "X-Goog-Resource-ID": self.resource_id,
            "X-Goog-Resource-URI": self.resource_uri,
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(self.number),
            **token,
        }


@dataclass
class WatchChannels:
    """The open channels, the messages to be sent, and the messages that were sent."""

    channels: dict[str, Channel] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    waiting: asyncio.Queue[tuple[Channel, dict[str, str]]] = field(default_factory=asyncio.Queue)

    def open(
        self, body: Fields, calendar: GoogleCalendar, user: str, *, uri: str, now: datetime
    ) -> Channel:
        """Open a channel from the body of `events.watch`, and queue its `sync` message."""
        _check(body)
        if body["id"] in self.channels:
            text = f"Channel id {body['id']} not unique"
            raise errors.refusal(400, "global", "channelIdNotUnique", text)
        channel = Channel(
            id=body["id"],
            calendar_id=calendar.id,
            user=user,
            address=body["address"],
            token=body.get("token"),
            resource_id=secrets.token_urlsafe(20),
            resource_uri=uri,
            expires_at=_expiry(body, now),
        )
        self.channels[channel.id] = channel
        self._queue(channel, "sync", times=1)
        return channel

    def stop(self, channel_id: str, resource_id: str, user: str) -> None:
        channel = self.channels.get(channel_id)
        if channel is None or channel.resource_id != resource_id or channel.user != user:
            text = f"Channel '{channel_id}' not found for project"
            raise errors.refusal(404, "global", "notFound", text)
        del self.channels[channel_id]

    def changed(self, calendar: GoogleCalendar, *, times: int, now: datetime) -> None:
        """Queue `times` messages to each open channel of a calendar that has changed."""
        for channel in self.channels.values():
            if channel.calendar_id == calendar.id and channel.expires_at > now:
                self._queue(channel, "exists", times=times)

    def clear(self) -> None:
        """Close every channel. The queue stays the same, since the notifier waits at it."""
        self.channels.clear()
        self.sent.clear()
        while not self.waiting.empty():
            self.waiting.get_nowait()

    def _queue(self, channel: Channel, state: str, *, times: int) -> None:
        for _ in range(times):
            self.waiting.put_nowait((channel, channel.message(state)))

    def state(self) -> dict[str, Any]:
        channels = [
            {**c.as_json(), "user": c.user, "calendarId": c.calendar_id, "address": c.address}
            for c in self.channels.values()
        ]
        return {"channels": channels, "pushes": self.sent}


class ChannelNotifier:
    """Sends the queued messages, one after the other."""

    def __init__(self, session: aiohttp.ClientSession, clock: SimClock) -> None:
        self._session = session
        self._clock = clock

    async def send_next(self, channels: WatchChannels, knobs: GoogleKnobs) -> None:
        """Wait for a message and send it; if the receiver fails, retry twice."""
        channel, headers = await channels.waiting.get()
        await asyncio.sleep(knobs.push_delay_seconds)
        status = await self._post(channel.address, headers)
        for pause in RETRY_DELAYS:
            if status not in RETRIED_STATUSES:
                break
            await asyncio.sleep(pause)
            status = await self._post(channel.address, headers)
        channels.sent.append({"channel": channel.id, "headers": headers, "status": status})

    async def _post(self, address: str, headers: dict[str, str]) -> int | None:
        """The receiver's status; None if it cannot be reached."""
        try:
            async with self._session.post(
                address, headers=headers, timeout=POST_TIMEOUT
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return None


def _check(body: Fields) -> None:
    if CHANNEL_ID.fullmatch(body.get("id", "")) is None:
        raise errors.invalid("Invalid channel id.", reason="invalidChannelId")
    if body.get("type") not in ("web_hook", "webhook"):
        raise errors.invalid("Unknown channel type.", reason="unknownChannelType")
    if len(body.get("token", "")) > MAX_TOKEN:
        raise errors.invalid("Invalid token.", reason="invalidChannelToken")
    if not _on_loopback(body.get("address", "")):
        text = f"Unauthorized WebHook callback channel: {body.get('address')}"
        raise errors.refusal(401, "global", "push.webhookUrlUnauthorized", text)


def _on_loopback(address: str) -> bool:
    """Google requires https and a verified domain; this simulator calls loopback addresses only."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return False
    try:
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def _expiry(body: Fields, now: datetime) -> datetime:
    if "expiration" in body:
        wanted = datetime.fromtimestamp(int(body["expiration"]) / 1000, now.tzinfo)
        return min(wanted, now + DEFAULT_TTL)
    ttl = str(body.get("params", {}).get("ttl", int(DEFAULT_TTL.total_seconds())))
    if not ttl.isdecimal():
        raise errors.invalid("Invalid ttl.", reason="invalid")
    return now + min(timedelta(seconds=int(ttl)), DEFAULT_TTL)
