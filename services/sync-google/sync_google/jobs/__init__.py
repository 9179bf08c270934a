"""Faces Google: writes what is wished, looks at what is there; no transaction is open meanwhile."""

from collections.abc import Sequence

from shared.service import Part, Runtime
from shared.work import Worker
from sync_google import handlers, store
from sync_google.jobs.connection import follow
from sync_google.jobs.pull import Puller
from sync_google.jobs.push import push_event


def jobs(runtime: Runtime) -> Sequence[Part]:
    """What runs beside HTTP and the consumer."""
    return (
        Worker(store.KIND, runtime.db, runtime, push_event).run,
        Worker(handlers.CONNECTION, runtime.db, runtime, follow, hands=1).run,
        Puller(runtime).run,
    )
