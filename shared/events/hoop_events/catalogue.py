"""All events and topics, found in the modules that define them."""

from collections.abc import Iterator
from types import ModuleType

from hoop_events import accounts, booking, calendars, effects
from hoop_events.base import Event


def _events(module: ModuleType) -> Iterator[type[Event]]:
    """The concrete events that a module defines, in its order."""
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Event) and hasattr(found, "type"):
            yield found


EVENTS: tuple[type[Event], ...] = tuple(
    event for module in (accounts, calendars, booking, effects) for event in _events(module)
)
"""All events, module by module."""

TOPICS: tuple[str, ...] = tuple(dict.fromkeys(event.topic for event in EVENTS))
"""Topics that every service with routes keeps in memory."""

HISTORY_DAYS = {event.topic: event.history_days for event in EVENTS if event.history_days}
"""Days for which a topic keeps its full history, for those topics that do."""
