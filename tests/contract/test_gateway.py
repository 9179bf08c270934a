"""The gateway of the compose file sends each path to its owner, as the route tables say."""

import re

import pytest

from hoop_platform.ids import new_id
from local.codegen import gateway
from local.stack import routing
from local.stack.topology import SERVICES, service

OWNED = sorted({(route.path, name) for name in SERVICES for route in service(name).routes})


def _example(path: str) -> str:
    return re.sub(r"\{\w+\}", new_id(), path)


def test_the_file_is_in_step() -> None:
    """deploy/gateway/nginx.conf is what `./hoop codegen` would write."""
    assert gateway.FILE.read_text() == gateway.configuration()


@pytest.mark.parametrize(("path", "name"), OWNED)
def test_a_path_has_one_owner(path: str, name: str) -> None:
    """With a slash at the end and without, the first rule that fits is its owner's, and the only one."""
    rules = routing.rules()
    for path_ in (_example(path).rstrip("/"), _example(path).rstrip("/") + "/"):
        assert routing.owner(path_, rules) == name
        special = [rule.rank[0] for rule in rules if re.match(rule.pattern, path_)]
        assert special.count(min(special)) == 1


@pytest.mark.parametrize("path", ["/", "/nothing", "/calendars/a/b/c/d", "/calendarsx", "/health"])
def test_what_nobody_owns_goes_to_booking(path: str) -> None:
    """There it is answered in the shape of the API."""
    assert routing.owner(path, routing.rules()) == routing.DEFAULT


def test_the_rules_stand_in_the_file_in_their_order() -> None:
    """nginx tries patterns from top to bottom: those in the file are those matched here."""
    found = re.findall(
        r'location ~ "(\S+)" \{ proxy_pass http://(\S+); \}', gateway.configuration()
    )
    assert found == [(rule.pattern, rule.owner) for rule in routing.rules()]
