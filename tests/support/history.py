"""What several clients did at once, and whether any order of it explains what they were told.

Each deed is written down with the time in which it happened at some instant nobody knows: from when
it was asked until it was answered, or for ever when no answer came. The checker knows only that,
and finds what cannot be: bookings that are lost, doubled or invented, and reads that are stale.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Literal

Kind = Literal["book", "hold", "move", "cancel", "confirm", "delete", "release", "read"]
Outcome = Literal["done", "refused", "unknown"]
Value = datetime | str | bool
FOR_EVER = float("inf")


@dataclass(frozen=True)
class Seen:
    """An appointment or a hold as it was shown. `marker` is the title that the booking asked for."""

    id: str
    marker: str
    start: datetime
    end: datetime
    status: str
    takes: frozenset[str]
    """Whoever and whatever it occupies, if it does."""
    version: int = 1

    @property
    def occupies(self) -> bool:
        return self.status not in ("cancelled", "invalid")


@dataclass(frozen=True)
class Deed:
    """One request. A read that found nothing is done, and has seen None."""

    kind: Kind
    begun: float
    ended: float
    outcome: Outcome
    subject: str | None = None
    """The id, as far as it is known: of a booking that was not answered it is not."""
    marker: str = ""
    start: datetime | None = None
    """What was asked for, by `book`, `hold` and `move`."""
    seen: Seen | None = None
    lasts: float = FOR_EVER
    """Seconds that a hold was asked for."""

    @property
    def may_count(self) -> bool:
        return self.outcome != "refused" and self.kind != "read"

    def writes(self) -> Iterator[tuple[str, Value]]:
        """What it makes true, field by field."""
        if self.kind in ("book", "move") and self.start is not None:
            yield "start", self.start
        if self.kind in ("book", "confirm"):
            yield "status", "confirmed"
        if self.kind == "cancel":
            yield "status", "cancelled"
        if self.kind in ("book", "delete"):
            yield "gone", self.kind == "delete"


@dataclass(frozen=True)
class Stay:
    """From when to when somebody certainly occupied that time."""

    subject: str
    start: datetime
    end: datetime
    since: float
    until: float

    def meets(self, other: "Stay") -> bool:
        return (
            self.subject != other.subject
            and self.start < other.end
            and other.start < self.end
            and max(self.since, other.since) < min(self.until, other.until)
        )


@dataclass
class History:
    """All deeds, and what is stored after the last of them."""

    deeds: Sequence[Deed]
    final: Mapping[str, Seen]
    of: dict[str, list[Deed]] = field(default_factory=lambda: defaultdict(list))
    """The deeds that may count, by what they were done to."""

    def __post_init__(self) -> None:
        ids = {seen.marker: seen.id for seen in self.final.values()}
        for deed in self.deeds:
            subject = deed.subject or ids.get(deed.marker)
            if subject is not None and deed.may_count:
                self.of[subject].append(deed)

    @property
    def ended(self) -> float:
        return max((d.ended for d in self.deeds if d.ended < FOR_EVER), default=0.0)

    def findings(self) -> list[str]:
        """What is wrong, one line each, beginning with what it is called."""
        found = [*self._double(), *self._invented(), *self._lost(), *self._stale()]
        return sorted(set(found))

    def _double(self) -> Iterator[str]:
        """Two who certainly occupied the same thing at the same time, at one instant."""
        stays: dict[str, list[Stay]] = defaultdict(list)
        for taken, stay in self._stays():
            stays[taken].append(stay)
        for taken, all_of_it in stays.items():
            for one, other in combinations(all_of_it, 2):
                if one.meets(other):
                    both = sorted((one.subject, other.subject))
                    yield f"double: {both[0]} and {both[1]} at {max(one.start, other.start)} on {taken}"

    def _stays(self) -> Iterator[tuple[str, Stay]]:
        for subject, deeds in self.of.items():
            for deed in deeds:
                seen = deed.seen
                if deed.outcome == "done" and seen is not None and seen.occupies:
                    until = min(self._next(deed, deeds), deed.begun + deed.lasts)
                    stay = Stay(subject, seen.start, seen.end, deed.ended, until)
                    yield from ((taken, stay) for taken in seen.takes)
        for seen in self.final.values():
            if seen.occupies:
                stay = Stay(seen.id, seen.start, seen.end, self.ended, FOR_EVER)
                yield from ((taken, stay) for taken in seen.takes)

    def _next(self, deed: Deed, deeds: Iterable[Deed]) -> float:
        """When the next deed may have changed something, at the earliest."""
        others = (d.begun for d in deeds if d is not deed and d.ended > deed.begun)
        return min(others, default=FOR_EVER)

    def _invented(self) -> Iterator[str]:
        """What is stored was asked for, once."""
        asked = {d.marker for d in self.deeds if d.kind == "book" and d.may_count}
        markers: dict[str, list[str]] = defaultdict(list)
        for seen in self.final.values():
            markers[seen.marker].append(seen.id)
            if seen.marker not in asked:
                yield f"invented: nobody asked for {seen.id}"
        for deed in self.deeds:
            if deed.kind == "book" and deed.outcome == "done" and deed.marker in markers:
                others = [key for key in markers[deed.marker] if key != deed.subject]
                yield from (f"invented: {key} beside {deed.subject}" for key in others)
        for ids in markers.values():
            yield from (f"invented: {key} beside {ids[0]}" for key in ids[1:])

    def _lost(self) -> Iterator[str]:
        """What was acknowledged is stored, or something asked for later explains why not."""
        for subject, deeds in self.of.items():
            if any(d.kind == "book" and d.outcome == "done" for d in deeds):
                seen = self.final.get(subject)
                for name, how in self._unexplained(subject, seen, FOR_EVER, FOR_EVER):
                    what = "lost" if how == "overwritten" else "invented"
                    yield f"{what}: {name} of {subject} at the end is {how}"

    def _stale(self) -> Iterator[str]:
        """A read shows nothing that was overwritten before it began; nor what an earlier one outdates."""
        reads: dict[str, list[Deed]] = defaultdict(list)
        for read in self.deeds:
            if read.kind == "read" and read.outcome == "done" and read.subject is not None:
                reads[read.subject].append(read)
                found = self._unexplained(read.subject, read.seen, read.begun, read.ended)
                for name, how in found:
                    what = "stale" if how == "overwritten" else "invented"
                    yield f"{what}: {name} of {read.subject} in a read is {how}"
        for subject, those in reads.items():
            for one, other in combinations(sorted(those, key=lambda d: d.begun), 2):
                if one.ended < other.begun and _older(other.seen, one.seen):
                    yield f"stale: {subject} was newer in an earlier read"

    def _unexplained(
        self, subject: str, seen: Seen | None, begun: float, ended: float
    ) -> Iterator[tuple[str, str]]:
        """The fields whose values nobody wrote in time, or that were overwritten before."""
        shown: dict[str, Value] = {"gone": seen is None}
        if seen is not None:
            shown |= {"start": seen.start, "status": seen.status}
        for name, value in shown.items():
            writes = [(d, v) for d in self.of[subject] for n, v in d.writes() if n == name]
            writers = [d for d, v in writes if v == value and d.begun <= ended]
            if not writers:
                # Whatever is not there was lost, unless somebody asked for that.
                yield name, "overwritten" if name == "gone" else "nobody's"
            elif all(_overwritten(w, [d for d, _ in writes], begun) for w in writers):
                yield name, "overwritten"


def _overwritten(write: Deed, others: Iterable[Deed], before: float) -> bool:
    """Another was done wholly after it, and wholly before that instant."""
    return any(
        d.outcome == "done" and d.begun > write.ended and d.ended < before
        for d in others
        if d is not write
    )


def _older(later: Seen | None, earlier: Seen | None) -> bool:
    if earlier is None or later is None:
        return earlier is None and later is not None
    return later.version < earlier.version
