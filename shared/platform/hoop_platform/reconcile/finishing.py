"""Finishing: attempts that end while a statement is under way are stored together, in the next one."""

import asyncio
from collections.abc import Sequence

from hoop_platform.db.database import TRANSIENT, Database
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.claims import Finish, Finished, RowLocked

MOST_AT_ONCE = 64


class Finishing:
    """Stores the ends of a worker's attempts: each at once when the worker is idle, else in batches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Finish, asyncio.Future[Finished]]] = []
        self._running: asyncio.Task[None] | None = None

    async def finish(self, finish: Finish) -> Finished:
        """Store the end of one attempt. Raises what Postgres raises for it."""
        future: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._waiting.append((finish, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())  # noqa: TID251 -- ends with the last one waiting
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            results = await self._store([finish for finish, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # its attempt was cancelled
                    continue
                if isinstance(result, _Raised):
                    future.set_exception(result.error)
                else:
                    future.set_result(result)
        self._running = None

    async def _store(self, batch: Sequence[Finish]) -> Sequence["Finished | _Raised"]:
        """Store a batch; each by itself if one of them is wrong, or its row is locked."""
        if len(batch) == 1:
            return [await self._store_one(batch[0])]
        try:
            results = await claims.finish(self._database, batch, patient=False)
        except TRANSIENT as error:
            return [_Raised(error) for _ in batch]
        except Exception:  # noqa: BLE001 -- one attempt must not spoil the others
            return [await self._store_one(each) for each in batch]
        return [
            await self._store_one(each) if isinstance(result, RowLocked) else result
            for each, result in zip(batch, results, strict=True)
        ]

    async def _store_one(self, finish: Finish) -> "Finished | _Raised":
        try:
            [result] = await claims.finish(self._database, [finish], patient=True)
        except Exception as error:  # noqa: BLE001 -- raised by `finish`, to whom it concerns
            return _Raised(error)
        return result


class _Raised:
    def __init__(self, error: Exception) -> None:
        self.error = error
