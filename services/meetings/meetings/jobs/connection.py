"""After a connection has changed: its host's sessions, one by one; and grants that nobody uses."""

from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.providers.tokens import refresh_idle
from hoop_platform.reconcile.desired_state import Claimed, Done, Outcome, close_circuit
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log
from meetings import handlers, store
from meetings.jobs.calls import OAUTH


async def follow(runtime: Runtime, mine: Claimed) -> Outcome:
    """Wish anew for each session of the host that is not over; their jobs see what there is to do.

    In small transactions, so that nobody waits for long, and the next try goes on where this ends.
    """
    account_id, provider = mine.desired_state.account_id, mine.desired_state.provider
    host = mine.desired_state.desired["host"]
    access = await store.access(runtime.db, account_id, provider, host)
    if access is not None and access.active and access.external_id is not None:
        async with runtime.db.transaction() as db:
            await close_circuit(db, provider, access.external_id)
    while True:
        access = await store.access(runtime.db, account_id, provider, host)
        places = await store.outdated_places(
            runtime.db,
            account_id,
            provider,
            host,
            stamp=access.stamp if access else None,
            now=runtime.clock.now(),
        )
        if not places:
            return Done()
        for place in places:
            async with runtime.db.transaction() as db:
                await store.lock(db, [place], shared=False)
                await handlers.rewish(db, place)


async def keep_fresh(runtime: Runtime) -> None:
    """Refresh the grants that were not used for days, before the provider lets them die."""
    now = runtime.clock.now()
    for oauth in OAUTH.values():
        provider = oauth(runtime.settings)
        try:
            while await refresh_idle(runtime.db, runtime.http, runtime.cipher, provider, now=now):
                pass
        except (NotConnected, ProviderDown) as error:
            log.warning("idle grant not refreshed", provider=provider.name, error=str(error))
