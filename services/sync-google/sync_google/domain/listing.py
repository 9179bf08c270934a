"""A list of a Google calendar's events, page after page; an unfinished one is stored, and continued later."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from sync_google.domain.busy import Window


@dataclass(frozen=True)
class Listing:
    """The pages so far of the events in a window, or of the changes since a sync token.

    `began` is Postgres' time before the first page. The last page has `next_sync_token`, all others
    `page_token`.
    """

    window: Window
    began: datetime
    sync_token: str | None = None
    page_token: str | None = None
    next_sync_token: str | None = None
    time_zone: str = "UTC"
    items: Sequence[dict[str, Any]] = ()
    pages: int = 0

    @property
    def full(self) -> bool:
        """Whether everything is listed, not only changes."""
        return self.sync_token is None

    @property
    def complete(self) -> bool:
        return self.next_sync_token is not None

    def extended(
        self,
        items: Sequence[dict[str, Any]],
        *,
        time_zone: str,
        page_token: str | None,
        next_sync_token: str | None,
    ) -> Self:
        """The list with one more page."""
        return replace(
            self,
            items=[*self.items, *items],
            time_zone=time_zone,
            page_token=page_token,
            next_sync_token=next_sync_token if page_token is None else None,
            pages=self.pages + 1,
        )

    def dumped(self) -> str:
        """As text, since `jsonb` cannot hold everything that somebody may have written at Google."""
        window = (self.window.start.isoformat(), self.window.end.isoformat())
        return json.dumps({**vars(self), "window": window, "began": self.began.isoformat()})

    @classmethod
    def loaded(cls, text: str) -> Self:
        stored = json.loads(text)
        start, end = (datetime.fromisoformat(edge) for edge in stored["window"])
        began = datetime.fromisoformat(stored["began"])
        return cls(**{**stored, "window": Window(start, end), "began": began})
