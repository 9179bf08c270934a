"""Faces Google: writes what is wished, looks at what is there; no transaction is open meanwhile."""

from collections.abc import Sequence

from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from sync_google import handlers, store
from sync_google.jobs.connection import follow
from sync_google.jobs.pull import Puller
from sync_google.jobs.push import push_event


def jobs(runtime: Runtime) -> Sequence[BackgroundTask]:
    """What runs beside HTTP and the consumer."""
    return (
        Worker(store.KIND, runtime.db, runtime, push_event).run,
        Worker(handlers.CONNECTION, runtime.db, runtime, follow, concurrency=1).run,
        Puller(runtime).run,
    )
