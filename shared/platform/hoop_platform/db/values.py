"""Values in the form in which PostgreSQL takes them."""

from datetime import timedelta


def storable(text: str) -> str:
    """A text that PostgreSQL can store: NUL and lone surrogates, which it refuses, are replaced."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def stored_interval(length: timedelta) -> str:
    """As PostgreSQL reads an interval; it knows no exponents."""
    return f"{length.total_seconds():.6f} seconds"
