"""What to do next, from what is wanted and what is known of the provider: one step at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from meetings.domain.seats import Access, Wanted

SETTLE = timedelta(seconds=30)
"""After this long a call whose answer was lost has either happened or never will: three timeouts."""


@dataclass(frozen=True)
class Made:
    """A meeting we have made or may have made. `age` is counted from the intent."""

    generation: int
    connection_id: str
    state: Literal["intended", "live", "to_delete", "gone", "abandoned"]
    external_id: str | None
    join_url: str | None
    topic: str | None
    minutes: int | None
    looked: bool
    """It has been looked for since the intent, and was not there (yet)."""
    age: timedelta


@dataclass(frozen=True)
class World:
    """What is known outside: the host's connection and the meetings of one session."""

    access: Access | None
    made: Sequence[Made]

    @property
    def ours(self) -> list[Made]:
        """What this connection made. The references of an earlier one are history: not touched."""
        connection_id = self.access.connection_id if self.access else None
        return [made for made in self.made if made.connection_id == connection_id]

    @property
    def live(self) -> Made | None:
        """The one meeting whose link is shown; every other one is doomed as soon as it is known."""
        return next((made for made in self.ours if made.state == "live"), None)

    @property
    def detached(self) -> Made | None:
        """The meeting of an ended connection: it stays at the provider, and its link is shown."""
        past = [m for m in self.made if m not in self.ours and m.state in ("live", "abandoned")]
        return next((made for made in past if made.join_url), None)


@dataclass(frozen=True)
class Rest:
    """The world is as wanted, or it is too late to change it."""


@dataclass(frozen=True)
class NoAccess:
    """Something is to be done, and nobody has connected the account it takes."""


@dataclass(frozen=True)
class LookUp:
    """Find out what became of calls whose answers were lost."""


@dataclass(frozen=True)
class Create:
    generation: int


@dataclass(frozen=True)
class Drop:
    made: Made


@dataclass(frozen=True)
class Edit:
    made: Made


@dataclass(frozen=True)
class LookLater:
    """All is well, but a lost call might still come true: look once more after `wait`."""

    wait: timedelta


Step = Rest | NoAccess | LookUp | Create | Drop | Edit | LookLater


def next_step(wanted: Wanted, world: World, *, now: datetime) -> Step:
    """The next step towards exactly one meeting where one is wanted, and none elsewhere."""
    if wanted.end <= now:
        return Rest()
    step = _next_with_access(wanted, world)
    has_access = world.access is not None and world.access.active
    return step if has_access or isinstance(step, Rest) else NoAccess()


def _next_with_access(wanted: Wanted, world: World) -> Step:
    lost = [made for made in world.ours if made.state == "intended"]
    if any(not made.looked or made.age >= SETTLE for made in lost):
        return LookUp()
    if unneeded := _unneeded(wanted, world):
        return Drop(unneeded[0])
    if wanted.phase == "wanted" and world.live is None and world.detached is None:
        return Create(1 + max((made.generation for made in world.made), default=0))
    if edit := _edit(wanted, world):
        return edit
    return LookLater(max(SETTLE - made.age for made in lost)) if lost else Rest()


def _unneeded(wanted: Wanted, world: World) -> list[Made]:
    states = ("to_delete",) if wanted.phase == "wanted" else ("to_delete", "live")
    return [made for made in world.ours if made.state in states]


def _edit(wanted: Wanted, world: World) -> Edit | None:
    made = world.live
    if wanted.phase != "wanted" or made is None:
        return None
    same = (made.topic, made.minutes) == (wanted.topic, wanted.minutes)
    return None if same else Edit(made)
