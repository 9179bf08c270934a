"""Which service owns an HTTP path, from the route tables of the services."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hoop_platform.service.service import Service
from local.stack.topology import services

DEFAULT = "booking"
"""The service that receives requests for unknown paths and answers 404 in the API's format."""
_PARAMETER = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class PathRule:
    """One path of the API and the service that owns it."""

    path: str
    owner: str

    @property
    def pattern(self) -> str:
        """A regular expression that matches the whole path, with or without a slash at the end."""
        parts = _PARAMETER.split(self.path.rstrip("/"))
        return "^" + "[^/]+".join(re.escape(part).replace(r"\-", "-") for part in parts) + "/?$"

    @property
    def rank(self) -> tuple[int, str]:
        """The sort key: rules with fewer parameters first, because nginx takes the first match."""
        return len(_PARAMETER.findall(self.path)), self.path


class TwoOwners(Exception):
    """Two services serve the same path, so the gateway cannot choose one."""


def rules(known: Iterable[Service] | None = None) -> list[PathRule]:
    """One rule for each path of these services (default: all of them), the most specific first."""
    owners: dict[str, str] = {}
    for one in services() if known is None else known:
        for route in one.routes:
            path = route.path.rstrip("/")
            if owners.setdefault(path, one.name) != one.name:
                raise TwoOwners(f"{path}: {owners[path]} and {one.name}")
    return sorted((PathRule(path, name) for path, name in owners.items()), key=lambda r: r.rank)


def owner(path: str, known: Iterable[PathRule]) -> str:
    """The service that receives a request for this path: that of the first matching rule."""
    return next((rule.owner for rule in known if re.match(rule.pattern, path)), DEFAULT)
