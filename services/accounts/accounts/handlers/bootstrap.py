"""Creates the demonstration accounts once: what exists stays, what is missing is created again."""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any

from accounts.domain.api_keys import UNLIMITED
from accounts.domain.entity import EntityT
from accounts.handlers import crud
from accounts.handlers.api_keys import format_api_key, revoke_api_key
from accounts.store import demo_parts
from accounts.store.accounts import ACCOUNTS
from accounts.store.api_keys import API_KEYS
from accounts.store.contacts import CONTACTS
from accounts.store.locations import LOCATIONS
from accounts.store.repository import Repository
from accounts.store.users import USERS
from hoop_events.accounts import Limits
from hoop_platform.auth import SCOPES, Caller, digest
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id

_ZONE = "America/New_York"
_CONTACT_NAMES = ("Carla Gomez", "Dev Patel")
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class DemoAccounts:
    """Two accounts to try things with; the second one shows what a foreign account can see."""

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
        """One JSON object, whole keys included: not for logs."""
        return json.dumps(asdict(self), indent=2) + "\n"


async def bootstrap(database: Database, *, key_file: Path, now: datetime) -> DemoAccounts:
    """Create what is missing of the demonstration accounts, directly in the service's database.

    The whole keys stand in `key_file` alone (mode 0600). If it is lost, or its keys are not active
    any more, new keys are created and the old ones revoked. If nothing is missing, nothing changes.
    """
    async with database.transaction() as db:
        # One run at a time, file included: no run may return keys that another has revoked.
        await demo_parts.lock_bootstrap(db)
        stored = await asyncio.to_thread(_read, key_file)
        parts = _Parts(db, await demo_parts.list_parts(db), stored, now)
        hoop = await parts.tenant("hoop", "Hoop Demo", ("Uma Okafor", "Ben Sato"), _CONTACT_NAMES)
        other = await parts.tenant("other", "Other Demo", ("Olga Berg",), ("Paul Moreau",))
        demo = DemoAccounts(
            **hoop,
            api_key=await parts.api_key("api_key", hoop["account_id"], UNLIMITED),
            limited_api_key=await parts.api_key("limited_api_key", hoop["account_id"], Limits()),
            **{f"other_{name}": value for name, value in other.items()},
            other_api_key=await parts.api_key("other_api_key", other["account_id"], UNLIMITED),
        )
        await asyncio.to_thread(_write, key_file, demo.as_json())
    return demo


@dataclass(frozen=True)
class _Parts:
    """Finds each part of the demonstration by its name, or creates it."""

    db: Tx
    existing: Mapping[str, tuple[str, str]]
    """`(account id, id)` by the name of the part."""
    stored: Mapping[str, Any]
    """The content of the key file."""
    now: datetime

    async def tenant(
        self, name: str, title: str, user_names: Sequence[str], contact_names: Sequence[str]
    ) -> dict[str, Any]:
        """An account with a location, users and contacts: their ids, by the fields of `DemoAccounts`."""
        account = await self._entity(
            f"{name}.account", ACCOUNTS, None, name=title, plan="unlimited"
        )
        location = await self._entity(
            f"{name}.location", LOCATIONS, account, name=title, time_zone=_ZONE
        )
        users = [
            await self._entity(
                f"{name}.user.{n}",
                USERS,
                account,
                name=user,
                email=_address(user),
                location_ids=(location,),
            )
            for n, user in enumerate(user_names)
        ]
        contacts = [
            await self._entity(
                f"{name}.contact.{n}",
                CONTACTS,
                account,
                name=contact,
                email=_address(contact),
                location_id=location,
            )
            for n, contact in enumerate(contact_names)
        ]
        people = {"user_ids": tuple(users), "contact_ids": tuple(contacts)}
        return {"account_id": account, "location_id": location, **people}

    async def api_key(self, part: str, account_id: str, limits: Limits) -> str:
        """A key with all scopes: the stored one while it is active, else a new one that replaces it."""
        found, token = await self._find(part, API_KEYS), str(self.stored.get(part))
        if found and found.active and compare_digest(found.digest, digest(token)):
            return token
        if found:
            await revoke_api_key(self.db, found.id, by=_operator(account_id), now=self.now)
        key_id = new_id()
        token = format_api_key(key_id, secrets.token_hex(32))
        await self._create(
            part,
            API_KEYS,
            account_id,
            key_id,
            digest=digest(token),
            name=part,
            scopes=SCOPES,
            **limits.model_dump(),
        )
        return token

    async def _entity(
        self, part: str, repository: Repository[EntityT], account_id: str | None, **fields: object
    ) -> str:
        found = await self._find(part, repository)
        if found:
            return found.id
        entity_id = new_id()
        return await self._create(part, repository, account_id or entity_id, entity_id, **fields)

    async def _find(self, part: str, repository: Repository[EntityT]) -> EntityT | None:
        return (
            await repository.lock(self.db, *self.existing[part]) if part in self.existing else None
        )

    async def _create(
        self,
        part: str,
        repository: Repository[EntityT],
        account_id: str,
        entity_id: str,
        **fields: Any,
    ) -> str:
        entity = repository.entity_type(
            account_id=account_id,
            id=entity_id,
            date_added=self.now,
            date_updated=self.now,
            **fields,
        )
        await crud.create(self.db, repository, entity, by=_operator(account_id), now=self.now)
        await demo_parts.upsert_part(self.db, part, account_id, entity_id)
        return entity_id


def _operator(account_id: str) -> Caller:
    """The operator as a caller: without a key."""
    return Caller(account_id, "", frozenset(), frozenset())


def _address(name: str) -> str:
    return f"{name.replace(' ', '.').lower()}@example.com"


def _read(file: Path) -> dict[str, Any]:
    """The content of the key file; empty if the file is missing or is not a JSON object."""
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only; an equal file stays untouched."""
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
