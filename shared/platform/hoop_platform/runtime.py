"""What a running service holds: its database, clock, HTTP session, global tables and consumer group."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic

from aiohttp import ClientSession
from typing_extensions import TypeVar

from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.secrets import Cipher

SettingsT_co = TypeVar("SettingsT_co", bound=Settings, default=Settings, covariant=True)
Found = TypeVar("Found")


@dataclass(frozen=True)
class Runtime(Generic[SettingsT_co]):
    """What a running service holds; HTTP handlers and jobs receive it."""

    name: str
    settings: SettingsT_co
    db: Database
    clock: Clock
    http: ClientSession
    tables: GlobalTables
    group: ConsumerGroup | None

    @property
    def cipher(self) -> Cipher:
        """Seals with the service's key; a service that has none must not call it."""
        return _cipher(self.settings.data_key.get_secret_value())

    async def catch_up(self) -> bool:
        """Wait, at most half a second, until everything published before this call is applied."""
        group = self.group
        own = group.catch_up() if group else _true()
        return all(await asyncio.gather(self.tables.catch_up(), own))

    async def known(self, find: Callable[[], Awaitable[Found | None]]) -> Found | None:
        """What `find` returns; if that is None, what it returns after `catch_up`, even a late one.

        For state that another service may have published a moment ago.
        """
        found = await find()
        if found is None:
            await self.catch_up()
            found = await find()
        return found


@lru_cache(maxsize=8)
def _cipher(key: str) -> Cipher:
    return Cipher.from_key(key)


async def _true() -> bool:
    return True
