"""How long, how often and with how much data a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The size of a run. A burst lasts `seconds`; each round has one burst of ours and one of the floor."""

    rounds: int = 5
    seconds: float = 4.0
    rates: tuple[int, ...] = (20, 50)
    """Bookings offered each second while effects are timed."""
    clients: tuple[int, ...] = (1, 16)
    """Concurrent clients of `bookings`."""
    hosts: int = 20
    calendars: int = 1000
    """For `free-slots` (each with 100 busy times in 30 days) and for `post`."""
    events: int = 200_000
    """In the topics from which `rebuild` makes the read model again."""
    history: tuple[int, ...] = (100, 10_000, 100_000)
    """Past appointments of a calendar, for `growth`."""
    bookings: int = 10
    """Booked one at a time, for `statements`."""
    rest: float = 20.0
    """Seconds of each of the two rests of `statements`."""
    top: int = 0
    """Statements of each service that `statements` lists."""
    sustain: float = 60.0
    """Seconds for which `sustained` offers the rate that it finds."""
    backlogs: tuple[int, ...] = (2_000, 20_000, 300_000)
    """Desired states that are due, for `claims`."""
    held: float = 180.0
    """Seconds for which `claims` holds a snapshot while rows change."""
    floors: str | None = None
    """A Python file with floors for the slot engine, for `slots`."""


QUICK = Plan(
    rounds=3,
    seconds=1.0,
    rates=(20,),
    hosts=10,
    calendars=100,
    events=20_000,
    history=(100, 10_000),
    bookings=4,
    rest=8.0,
    sustain=10.0,
    backlogs=(2_000, 20_000),
    held=20.0,
)
