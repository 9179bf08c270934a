"""The floor of the outbox: the id below which no row can appear any more.

While an old snapshot keeps vacuum from removing deleted rows, a look that begins at the lowest id walks
over all of them. One that begins at the floor does not. Ids are taken before the commit, so a row may
appear below others that were published long ago; the floor stays below every id that an unfinished
transaction may have taken.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """One look at the outbox.

    `last_id` is the newest id that anybody has taken, `xmin` the oldest transaction that was running
    at its snapshot.
    """

    last_id: int
    xmin: int


class Floor:
    """Rises by one look, a transaction number that is assigned after it, and another look.

    Who has taken the first look's newest id, or a lower one, had a number before, so a smaller one than
    that assigned after the look. When all of these transactions are finished, a look shows every row
    below that they will ever commit, and what it does not leave behind is gone for good.
    """

    def __init__(self) -> None:
        self.id = 0
        """Look for rows from this id on."""
        self._candidate = 0
        self._barrier: int | None = None

    def rise(self, look: Look, *, xid: int | None = None, lowest_left: int | None = None) -> None:
        """Take note of a look, once its rows are deleted, but for `lowest_left` and higher ones.

        `xid`: the number of the transaction that deleted them, if there were any.
        """
        if self._barrier is not None and look.xmin >= self._barrier:
            above = self._candidate + 1
            self.id = max(self.id, above if lowest_left is None else min(above, lowest_left))
            self._candidate, self._barrier = look.last_id, xid
        elif self._barrier is None:
            self._candidate, self._barrier = look.last_id, xid

    def sink(self, lowest: int | None) -> None:
        """Include a row that a look at the whole outbox has found: restored, or no longer parked."""
        if lowest is not None:
            self.id = min(self.id, lowest)
