"""Generated parts of files that are otherwise written by hand, between two marker lines."""

import re


class MarkersMissing(Exception):
    """A file lacks the marker lines between which its generated part belongs."""


def replaced(text: str, part: str, *, begin: str, end: str) -> str:
    """The text with `part`, which ends with a line break, between its marker lines.

    The first marker line becomes `begin`, whatever it says after the word `begin:`.
    """
    first = re.escape(begin.partition("begin:")[0]) + r"begin:.*"
    pattern = re.compile(rf"^( *){first}$\n(?:.*\n)*? *{re.escape(end)}$", re.MULTILINE)
    if not pattern.search(text):
        raise MarkersMissing(f"there must be the lines {begin} and {end}")
    return pattern.sub(lambda found: f"{found[1]}{begin}\n{part}{found[1]}{end}", text, count=1)
