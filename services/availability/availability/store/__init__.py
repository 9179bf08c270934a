"""Remembers: rows kept by events, and what of them a replica has at heart."""

from availability.store.memory import Memory
from availability.store.rows import (
    drop_calendar,
    drop_document,
    keep,
    keep_calendar,
    keep_document,
    leaving,
    versions,
    versions_told,
)
from availability.store.view import View
from availability.store.window import Fetched, fetch

__all__ = [
    "Fetched",
    "Memory",
    "View",
    "drop_calendar",
    "drop_document",
    "fetch",
    "keep",
    "keep_calendar",
    "keep_document",
    "leaving",
    "versions",
    "versions_told",
]
