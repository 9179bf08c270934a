"""Characters that change the direction of text, and with it what somebody reads in a name or a subject."""

import re

_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


def without_overrides(text: str) -> str:
    """The text without embeddings, overrides and isolates, whose end may lie beyond the text."""
    return _OVERRIDES.sub("", text)
