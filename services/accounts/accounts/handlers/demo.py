"""Makes the demonstration's accounts, once: what is there stays, what is missing is made again."""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any, TypeVar

from accounts.domain import UNLIMITED, Row
from accounts.handlers.keys import revoke, whole
from accounts.handlers.rows import add
from accounts.store import ACCOUNTS, CONTACTS, KEYS, LOCATIONS, USERS, Shelf, demo
from hoop_events.accounts import Limits
from hoop_platform.auth import SCOPES, Caller, digest
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id

R = TypeVar("R", bound=Row)
ZONE = "America/New_York"
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Demo:
    """Two accounts to try things with; the second is there to be a stranger to the first."""

    account_id: str
    location_id: str
    user_ids: tuple[str, ...]
    contact_ids: tuple[str, ...]
    api_key: str
    limited_api_key: str
    other_account_id: str
    other_location_id: str
    other_user_ids: tuple[str, ...]
    other_contact_ids: tuple[str, ...]
    other_api_key: str

    def as_json(self) -> str:
        """One JSON object, keys included: not for logs."""
        return json.dumps(asdict(self), indent=2) + "\n"


async def bootstrap(database: Database, *, keep: Path, now: datetime) -> Demo:
    """Make what is missing of the demonstration, straight in the database of this service.

    The whole keys stand in the file `keep` alone (mode 0600). When it is lost, or its keys are no
    longer good, new keys are made and the old ones revoked. With nothing missing nothing changes.
    """
    async with database.transaction() as db:
        # One run at a time, file included: no run may return keys that another has revoked.
        await demo.alone(db)
        kept = await asyncio.to_thread(_read, keep)
        parts = _Parts(db, await demo.parts(db), kept, now)
        hoop = await parts.tenant("hoop", "Hoop Demo", ("Uma Okafor", "Ben Sato"), _GUESTS)
        other = await parts.tenant("other", "Other Demo", ("Olga Berg",), ("Paul Moreau",))
        made = Demo(
            **hoop,
            api_key=await parts.key("api_key", hoop["account_id"], UNLIMITED),
            limited_api_key=await parts.key("limited_api_key", hoop["account_id"], Limits()),
            **{f"other_{name}": value for name, value in other.items()},
            other_api_key=await parts.key("other_api_key", other["account_id"], UNLIMITED),
        )
        await asyncio.to_thread(_write, keep, made.as_json())
    return made


_GUESTS = ("Carla Gomez", "Dev Patel")


@dataclass(frozen=True)
class _Parts:
    """Finds each part of the demonstration by the name it was made under, or makes it."""

    db: Tx
    known: Mapping[str, tuple[str, str]]
    kept: Mapping[str, Any]
    now: datetime

    async def tenant(
        self, name: str, title: str, staff: Sequence[str], guests: Sequence[str]
    ) -> dict[str, Any]:
        """An account with a location, users and contacts: their ids, by the fields of `Demo`."""
        account = await self._row(f"{name}.account", ACCOUNTS, None, name=title, plan="unlimited")
        at = await self._row(f"{name}.location", LOCATIONS, account, name=title, time_zone=ZONE)
        users = [
            await self._row(
                f"{name}.user.{n}", USERS, account, name=who, email=_mail(who), location_ids=(at,)
            )
            for n, who in enumerate(staff)
        ]
        contacts = [
            await self._row(
                f"{name}.contact.{n}", CONTACTS, account, name=who, email=_mail(who), location_id=at
            )
            for n, who in enumerate(guests)
        ]
        people = {"user_ids": tuple(users), "contact_ids": tuple(contacts)}
        return {"account_id": account, "location_id": at, **people}

    async def key(self, part: str, account_id: str, limits: Limits) -> str:
        """A key with all scopes: the kept one while it is good, else a new one in its place."""
        row, token = await self._find(part, KEYS), str(self.kept.get(part))
        if row and row.active and compare_digest(row.digest, digest(token)):
            return token
        if row:
            await revoke(self.db, row.id, by=_nobody_of(account_id), now=self.now)
        key_id, powers = new_id(), {"scopes": SCOPES, **limits.model_dump()}
        token = whole(key_id, secrets.token_hex(32))
        await self._make(part, KEYS, account_id, key_id, digest=digest(token), name=part, **powers)
        return token

    async def _row(
        self, part: str, shelf: Shelf[R], account_id: str | None, **fields: object
    ) -> str:
        found = await self._find(part, shelf)
        if found:
            return found.id
        row_id = new_id()
        return await self._make(part, shelf, account_id or row_id, row_id, **fields)

    async def _find(self, part: str, shelf: Shelf[R]) -> R | None:
        return await shelf.lock(self.db, *self.known[part]) if part in self.known else None

    async def _make(
        self, part: str, shelf: Shelf[R], account_id: str, row_id: str, **fields: Any
    ) -> str:
        row = shelf.kind(
            account_id=account_id, id=row_id, date_added=self.now, date_updated=self.now, **fields
        )
        await add(self.db, shelf, row, by=_nobody_of(account_id), now=self.now)
        await demo.remember(self.db, part, account_id, row_id)
        return row_id


def _nobody_of(account_id: str) -> Caller:
    """The operator, who needs no key."""
    return Caller(account_id, "", frozenset(), frozenset())


def _mail(name: str) -> str:
    return f"{name.replace(' ', '.').lower()}@example.com"


def _read(file: Path) -> dict[str, Any]:
    """What was kept; nothing when there is no such file, or something else in it."""
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, text: str) -> None:
    """Replace the file in one step, for its owner's eyes only; one that is right stays untouched."""
    if file.exists() and file.stat().st_mode & 0o777 == _OWNER_ONLY and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
