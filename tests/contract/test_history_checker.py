"""The checker of histories finds what is planted, names it, and finds nothing in what may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from support.history import FOR_EVER, Deed, History, Seen

NINE = datetime(2027, 3, 1, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
HALF = timedelta(minutes=30)


def shown(key: str = "a", at: datetime = NINE, status: str = "confirmed", version: int = 1) -> Seen:
    return Seen(key, f"mark {key}", at, at + HALF, status, frozenset({"host"}), version)


def book(begun: float, ended: float, key: str = "a", at: datetime = NINE) -> Deed:
    return Deed("book", begun, ended, "done", key, f"mark {key}", at, shown(key, at))


def move(begun: float, ended: float, to: datetime, key: str = "a") -> Deed:
    return Deed("move", begun, ended, "done", key, start=to, seen=shown(key, to, version=2))


def cancel(begun: float, ended: float, key: str = "a") -> Deed:
    gone = shown(key, status="cancelled", version=2)
    return Deed("cancel", begun, ended, "done", key, seen=gone)


def delete(begun: float, ended: float, key: str = "a") -> Deed:
    return Deed("delete", begun, ended, "done", key)


def read(begun: float, ended: float, seen: Seen | None, key: str = "a") -> Deed:
    return Deed("read", begun, ended, "done", key, seen=seen)


def unanswered(deed: Deed) -> Deed:
    unnamed = None if deed.kind == "book" else deed.subject
    return replace(deed, ended=FOR_EVER, outcome="unknown", seen=None, subject=unnamed)


def found(*deeds: Deed, final: tuple[Seen, ...] = ()) -> list[str]:
    """What the findings are called."""
    history = History(deeds, {seen.id: seen for seen in final})
    return [finding.partition(":")[0] for finding in history.findings()]


def test_a_lost_booking() -> None:
    """Acknowledged, deleted by nobody, and not there."""
    assert found(book(0, 1)) == ["lost"]


def test_a_lost_change() -> None:
    """It was moved, cancelled or deleted, and is as it was before."""
    for change in (move(2, 3, TEN), cancel(2, 3), delete(2, 3)):
        assert found(book(0, 1), change, final=(shown(),)) == ["lost"], change.kind


def test_a_double_booking_at_the_end() -> None:
    late = book(2, 3, "b", NINE + HALF / 2)
    finals = (shown(), shown("b", NINE + HALF / 2))
    assert found(book(0, 1), late, final=finals) == ["double"]


def test_a_double_booking_that_did_not_last() -> None:
    """Both were there between 3 and 5, though one was moved away afterwards."""
    away = move(5, 6, TEN, "b")
    finals = (shown(), shown("b", TEN, version=2))
    assert found(book(0, 1), book(2, 3, "b"), away, final=finals) == ["double"]


def test_a_booking_beside_a_hold() -> None:
    """The time was held for ten seconds when it was booked by somebody else."""
    held = Deed("hold", 0, 1, "done", "h", start=NINE, seen=shown("h"), lasts=10)
    assert found(held, book(2, 3), final=(shown(),)) == ["double"]
    assert found(held, book(11, 12), final=(shown(),)) == []
    released = Deed("release", 1.5, 4, "unknown", "h")
    assert found(held, released, book(2, 3), final=(shown(),)) == []


@pytest.mark.parametrize(
    ("change", "was"),
    [(move(2, 3, TEN), shown()), (cancel(2, 3), shown()), (delete(2, 3), shown())],
)
def test_a_stale_read(change: Deed, was: Seen) -> None:
    """It began after the change was acknowledged, and shows what was before; during it, it may."""
    final = () if change.kind == "delete" else (change.seen or was,)
    assert found(book(0, 1), change, read(4, 5, was), final=final) == ["stale"]
    assert found(book(0, 1), change, read(2.5, 5, was), final=final) == []


def test_a_read_that_finds_nothing_yet() -> None:
    assert found(book(0, 1), read(2, 3, None), final=(shown(),)) == ["stale"]


def test_reads_that_go_back_in_time() -> None:
    """During one change, a read shows it and a later one does not."""
    after = shown(at=TEN, version=2)
    first, second = read(3, 4, after), read(5, 6, shown())
    assert found(book(0, 1), move(2, 9, TEN), first, second, final=(after,)) == ["stale"]
    first, second = read(3, 4, shown()), read(5, 6, after)
    assert found(book(0, 1), move(2, 9, TEN), first, second, final=(after,)) == []


def test_an_invented_booking() -> None:
    """Nobody asked for it; or it was refused; or it was asked for once and is there twice."""
    assert found(final=(shown(),)) == ["invented"]
    refused = replace(book(0, 1), outcome="refused", seen=None, subject=None)
    assert found(refused, final=(shown(),)) == ["invented"]
    twin = replace(shown("b", TEN), marker="mark a")
    assert found(book(0, 1), final=(shown(), twin)) == ["invented"]


def test_an_invented_time() -> None:
    """It stands where nobody put it; a read shows what nobody wrote."""
    assert found(book(0, 1), final=(shown(at=TEN),)) == ["invented"]
    assert found(book(0, 1), read(2, 3, shown(at=TEN)), final=(shown(),)) == ["invented"]


def test_what_was_not_answered_may_or_may_not_have_happened() -> None:
    """A booking without an answer is there or not, a change without one as well, even later."""
    for final in ((), (shown(),)):
        assert found(unanswered(book(0, 1)), final=final) == []
    for final in ((shown(),), (shown(at=TEN, version=2),)):
        assert found(book(0, 1), unanswered(move(2, 3, TEN)), final=final) == []
    assert found(book(0, 1), unanswered(delete(2, 3)), final=()) == []


def test_changes_at_once_may_end_either_way() -> None:
    """Two moves that overlap: either may be last; one wholly after the other is."""
    eleven = TEN + timedelta(hours=1)
    first, second = move(2, 4, TEN), move(3, 5, eleven)
    for last in (TEN, eleven):
        assert found(book(0, 1), first, second, final=(shown(at=last, version=3),)) == []
    later = move(4.5, 5, eleven)
    assert found(book(0, 1), first, later, final=(shown(at=TEN, version=3),)) == ["lost"]


def test_a_time_that_was_given_back_is_free() -> None:
    """One leaves while the other comes: at one instant in between, both are right."""
    finals = (shown(status="cancelled", version=2), shown("b"))
    assert found(book(0, 1), cancel(2, 4), book(3, 5, "b"), final=finals) == []
