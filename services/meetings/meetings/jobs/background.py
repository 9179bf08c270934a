"""The background task: grants that are not used are refreshed before they expire."""

import asyncio
from collections.abc import Sequence

from hoop_platform.providers.idle_grants import IdleGrants
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.timing import every
from meetings.config import MeetingsSettings
from meetings.providers.registry import PROVIDERS

REFRESH_SECONDS = 600.0


def background_tasks(runtime: Runtime[MeetingsSettings]) -> Sequence[BackgroundTask]:
    """The tasks that run beside HTTP, the consumer and the worker."""

    async def refresh_grants(stop: asyncio.Event) -> None:
        grants = idle_grants(runtime)

        async def refresh() -> None:
            for of_provider in grants:
                await of_provider.refresh(stop, now=runtime.clock.now())

        await every(REFRESH_SECONDS, refresh, stop, what="refresh of idle grants")

    return (refresh_grants,)


def idle_grants(runtime: Runtime[MeetingsSettings]) -> Sequence[IdleGrants]:
    """The grants that were not used for days, of each provider."""
    return [
        IdleGrants(runtime.db, runtime.http, runtime.cipher, conference.oauth(runtime.settings))
        for conference in PROVIDERS.values()
    ]
