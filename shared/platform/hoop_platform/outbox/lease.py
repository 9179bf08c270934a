"""The lease of the relay: one leads, the others stand by and notify it of the rows that they cause."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from hoop_platform import telemetry
from hoop_platform.db.database import TRANSIENT, Database, DatabaseGone, Row
from hoop_platform.ids import hexed, new_id
from hoop_platform.telemetry import cause, log

CHANNEL = "outbox"
LEASE_SECONDS = 15.0
"""Of a leader that LISTENs, renewed after two thirds. Its session ends with its process, which others see."""
POLLING_LEASE_SECONDS = 5.0
"""Of a leader that cannot LISTEN, renewed after a third."""
PATIENCE = timedelta(seconds=5)
"""A row that has waited for so long ends the lease of a leader that has not renewed it meanwhile."""
STANDBY_SECONDS = 5.0
"""How often a relay that stands by checks the lease; if the leader cannot LISTEN, as in the second."""
POLLING_STANDBY_SECONDS = 0.25


class RelayLease:
    """The right to publish the outbox of one database; every renewal is a look at the whole outbox too."""

    def __init__(self, database: Database, wake: asyncio.Event) -> None:
        self.owner = new_id()
        self.epoch = 0
        """Raised with each change of the leader; 0 while another relay leads."""
        self.listens = False
        """Whether notifications arrive: the last renewal's own one did."""
        self.rows_seen = False
        """Whether the last renewal has seen rows to be sent."""
        self.due_at = 0.0
        self._renewed_at = 0.0
        self._lowest: int | None = None
        self._database = database
        self._wake = wake
        self._session: int | None = None
        self._echoed = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """LISTEN meanwhile. Once the session is cut, `held` raises `DatabaseGone`."""
        async with self._database.listen(
            CHANNEL, on_payload=self._on_payload, on_lost=self._on_lost
        ) as listener:
            self.epoch, self.due_at, self._session = 0, 0.0, listener.pid
            self.listens = self._echoed = False
            yield

    def _on_payload(self, payload: str) -> None:
        if payload == hexed(self.owner):
            self._echoed = True
            if self.listens:
                return
            self.listens, self.due_at = True, 0.0  # a longer lease
        elif payload == "lead":
            self.due_at = 0.0
        elif not self.epoch:
            return  # rows, of which the leader was told
        self._wake.set()

    def _on_lost(self) -> None:
        self._session = None
        self._wake.set()

    async def held(self, *, tell: bool = False, behind: bool = False) -> bool:
        """Whether this relay leads; takes or renews the lease when that is due.

        `tell`: this process has committed rows, so a leader elsewhere is told. `behind`: rows wait, so
        the lease must not look forgotten.
        """
        if self._session is None:
            raise DatabaseGone("the session that listens was cut")
        now = asyncio.get_running_loop().time()
        due = now >= self.due_at
        if self.epoch and behind:
            due = due or now >= self._renewed_at + PATIENCE.total_seconds() / 3
        if due or (tell and not self.epoch):
            await self._lead(now, due=due, tell=tell)
        return bool(self.epoch)

    async def _lead(self, now: float, *, due: bool, tell: bool) -> None:
        if due:
            self.listens, self._echoed = self._echoed, False
        listens = self.listens  # what the leader hears of itself may come before the response
        row = await self._database.fetchrow(
            "SELECT * FROM lead_outbox($1, $2, $3, $4, $5)",
            self.owner,
            LEASE_SECONDS if listens else POLLING_LEASE_SECONDS,
            self._session if listens else None,
            PATIENCE if due else None,
            tell,
        )
        assert row is not None
        self.epoch = row["epoch"] or 0
        if self.epoch:
            self._renewed_at = now
            if listens == self.listens:
                self.due_at = now + (LEASE_SECONDS * 2 if listens else POLLING_LEASE_SECONDS) / 3
            self._measure(row)
        elif due:
            self.due_at = now + (STANDBY_SECONDS if row["listens"] else POLLING_STANDBY_SECONDS)

    def _measure(self, row: Row) -> None:
        service = telemetry.name()
        telemetry.outbox_depth.labels(service).set(row["depth"])
        telemetry.outbox_parked.labels(service).set(row["parked"])
        telemetry.outbox_age.labels(service).set(row["age"])
        self._lowest, self.rows_seen = row["lowest"], row["lowest"] is not None

    def take_lowest(self) -> int | None:
        """The lowest id of the rows that the last renewal has seen, once."""
        lowest, self._lowest, self.rows_seen = self._lowest, None, False
        return lowest

    async def resign(self) -> None:
        """Delete the lease, so that another relay leads at once; without Postgres it expires."""
        try:
            await self._database.execute("SELECT resign_outbox($1)", self.owner)
        except TRANSIENT as error:
            log.warning("lease not returned", error=cause(error))
