"""All events and topics, found in the modules that define them."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import hoop_events
from hoop_events.base import Event

_FIRST = ("accounts", "calendars", "booking", "effects")
"""Modules whose events come first in documents, in this order; those of all others follow by name."""


def _modules() -> Iterator[ModuleType]:
    """Every module of the package but this one: an event in a new module needs no list to be found."""
    names = {module.name for module in pkgutil.iter_modules(hoop_events.__path__)} - {"catalogue"}
    for name in (*_FIRST, *sorted(names.difference(_FIRST))):
        yield import_module(f"{hoop_events.__name__}.{name}")


def _events(module: ModuleType) -> Iterator[type[Event]]:
    """The concrete events that a module defines, in its order."""
    for found in vars(module).values():
        is_event = isinstance(found, type) and issubclass(found, Event) and hasattr(found, "type")
        if is_event and found.__module__ == module.__name__:
            yield found


EVENTS: tuple[type[Event], ...] = tuple(event for module in _modules() for event in _events(module))
"""All events, module by module."""

TOPICS: tuple[str, ...] = tuple(dict.fromkeys(event.topic for event in EVENTS))
"""All topics, in the order of their events."""

HISTORY_DAYS = {event.topic: event.history_days for event in EVENTS if event.history_days}
"""Days for which a topic keeps its full history, for those topics that do."""
