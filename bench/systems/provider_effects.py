"""What exists outside of a system because of its bookings: meetings, calendar events, accepted mails."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from aiohttp import ClientSession


class Effects(NamedTuple):
    """Meetings at Zoom, events at Google, mails that the mail server has accepted."""

    meetings: int
    events: int
    mails: int

    @classmethod
    def expected(cls, bookings: int) -> Self:
        """Return those of so many bookings with Zoom, Google, and mails to contact and host."""
        return cls(bookings, bookings, 2 * bookings)

    def since(self, before: "Effects") -> "Effects":
        """Return what was added."""
        return Effects(*(now - then for now, then in zip(self, before, strict=True)))


async def count_effects(http: ClientSession, facts: Mapping[str, Any]) -> Effects:
    """Ask the simulators; with many bookings their responses are long, so not while anything is timed."""
    zoom, google = (facts["simulators"][name] for name in ("zoom", "google"))
    meetings = (await _get(http, f"{zoom}/_sim/state"))["meetings"]
    events = (await _get(http, f"{google}/_sim/state"))["events"]
    entries = await _get(http, f"{facts['mail']['inbox_url']}/_sim/log?verb=DATA")
    mails = sum(str(one["reply"]).startswith("250") for one in entries)
    return Effects(len(meetings), len(events), mails)


async def _get(http: ClientSession, address: str) -> Any:
    async with http.get(address) as response:
        return await response.json()
