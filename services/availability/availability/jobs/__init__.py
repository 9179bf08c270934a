"""What runs beside HTTP and the consumer, and the commands of an operator."""

from collections.abc import Sequence

from availability.jobs.commands import commands
from availability.jobs.listening import Listening
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask

__all__ = ["commands", "jobs"]


def jobs(runtime: Runtime) -> Sequence[BackgroundTask]:
    """What runs as long as the service."""
    return (Listening(runtime).run,)
