"""Desired states for tests, a worker's attempts at them, and how many are done."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Outcome

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ACCOUNT = new_id()


def desired(user: str, subject: str | None = None, **more: Any) -> DesiredState:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "kind": "meeting",
        "subject": subject or new_id(),
        "provider": "zoom",
        "provider_user": user,
        "due_start": NOON,
        "desired": {},
        "sequence": 1,
    }
    return DesiredState(**{**values, **more})


class Performed:
    """The attempts of a worker, which all succeed."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, claimed: Claimed) -> Outcome:
        await self.may_end.wait()
        self.subjects.append(claimed.desired_state.subject)
        return Done()


async def begun(looks: Sequence[int]) -> bool:
    return len(looks) > 0


async def count_done(database: Database) -> int:
    done: int = await database.fetchval("SELECT count(*) FROM work WHERE status = 'done'")
    return done


async def are_done(database: Database, number: int) -> bool:
    return await count_done(database) == number
