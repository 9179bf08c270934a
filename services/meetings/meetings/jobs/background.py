"""The background task: grants that are not used are refreshed before they expire."""

import asyncio
from collections.abc import Sequence

from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.providers.tokens import refresh_idle
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.telemetry import log
from hoop_platform.timing import every
from meetings.config import MeetingsSettings
from meetings.providers.registry import PROVIDERS

REFRESH_SECONDS = 600.0


def background_tasks(runtime: Runtime[MeetingsSettings]) -> Sequence[BackgroundTask]:
    """The tasks that run beside HTTP, the consumer and the worker."""

    async def refresh_grants(stop: asyncio.Event) -> None:
        await every(
            REFRESH_SECONDS,
            lambda: refresh_idle_grants(runtime),
            stop,
            what="refresh of idle grants",
        )

    return (refresh_grants,)


async def refresh_idle_grants(runtime: Runtime[MeetingsSettings]) -> None:
    """Refresh the grants that were not used for days, before they expire at the provider."""
    now = runtime.clock.now()
    for conference in PROVIDERS.values():
        provider = conference.oauth(runtime.settings)
        try:
            while await refresh_idle(runtime.db, runtime.http, runtime.cipher, provider, now=now):
                pass
        except (NotConnected, ProviderDown) as error:
            log.warning("idle grant not refreshed", provider=provider.name, error=str(error))
