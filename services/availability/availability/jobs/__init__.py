"""What runs beside HTTP and the consumer, and the commands of an operator."""

from collections.abc import Sequence

from availability.jobs.commands import commands
from availability.jobs.listening import Listening
from shared.service import Part, Runtime

__all__ = ["commands", "jobs"]


def jobs(runtime: Runtime) -> Sequence[Part]:
    """What runs as long as the service."""
    return (Listening(runtime).run,)
