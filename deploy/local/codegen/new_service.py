"""The files of a new service: a consumer that posts each event of one type to an HTTP endpoint."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from string import Template

from hoop_events.base import Event
from local.stack.topology import package_of

PYPROJECT = """\
[project]
name = "$name"
version = "0.1.0"
description = "Posts each $event to an HTTP endpoint"
requires-python = ">=3.11"
license = "MIT"
authors = [{ name = "The Hoop authors" }]
dependencies = [
    "hoop-events",
    "hoop-platform",
    "pydantic>=$pydantic",
]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.uv.sources]
hoop-events = { workspace = true }
hoop-platform = { workspace = true }
"""
INIT = '"""The $name service."""\n'
MAIN = '''\
"""$name: the event it handles, and how what follows from it comes true."""

from $module import $event
from hoop_platform.reconcile.webhook import post_event
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
from $package import handlers
from $package.config import ${prefix}Settings

service = Service(
    "$name",
    settings=${prefix}Settings,
    subscriptions={$event: handlers.$handler},
    reconciles={handlers.POST: post_event(to=lambda settings: settings.$setting)},
)

if __name__ == "__main__":
    main(service)
'''
HANDLERS = '''\
"""The handler of each event: what follows from it is stored, and done after the commit."""

from datetime import datetime

from $module import $event
from hoop_platform.db.database import Tx
from hoop_platform.reconcile.effects import desire_for
from hoop_platform.reconcile.work import desire

POST = "post"


async def $handler(db: Tx, event: $event, now: datetime) -> None:
    await desire(db, desire_for(event, kind=POST, now=now))
'''
CONFIG = '''\
"""The settings of $name."""

from pydantic import Field

from hoop_platform.config import Settings


class ${prefix}Settings(Settings):
    """The settings of $name besides those that every service has."""

    $setting: str = Field("$url", description="where each $event is posted")
'''
TEST = '''\
"""$name: each event is posted once, with its id as the key, and none is dropped in silence."""

from $module import $event
from local.testing.consumer import consuming
from local.testing.endpoint import Answer, serving_endpoint
from local.testing.events import example
from $package.__main__ import service


async def test_an_event_that_is_delivered_twice_is_posted_once(new_database):
    event, database = example($event), await new_database(service.package)
    async with (
        serving_endpoint() as endpoint,
        consuming(service, database, $setting=endpoint.url) as consumer,
    ):
        await consumer.deliver(event, event)
        await consumer.work()

    assert endpoint.problems == []
    assert endpoint.keys == [event.event_id]
    assert endpoint.effects[event.event_id]["data"]["state"]["id"] == event.subject


async def test_an_event_that_is_refused_is_kept(new_database):
    event, database = example($event), await new_database(service.package)
    async with (
        serving_endpoint() as endpoint,
        consuming(service, database, $setting=endpoint.url) as consumer,
    ):
        endpoint.answers.append(Answer(422))
        await consumer.deliver(event)
        await consumer.work()
        assert await consumer.statuses() == ["failed"]
'''
README = """\
# $name

Posts each `$event` to an HTTP endpoint.

## Owns
One database, `$package`, without tables of its own. Each event is a desired state of kind `post` in the platform's table `work` until the endpoint has accepted it, and for an hour afterwards.

## API
None. The endpoint gets the event in the JSON form of CloudEvents 1.0 (`application/cloudevents+json`), and the event's id as `Idempotency-Key`. It must answer 2xx within ten seconds once it has stored the event, and may get the same key again.

## Events in and out
| | event | topic | then |
|---|---|---|---|
| in | `$event` | `$topic` | it is posted |

It announces nothing.

## Settings
The common ones (`${variable}_DATABASE_URL` or `DATABASE_URL`, `KAFKA_BOOTSTRAP`, …), and:

| setting | default | is |
|---|---|---|
| `${variable}_URL` | `$url` | where each event is posted |

## How it fails
| what | then |
|---|---|
| the endpoint answers 408, 409, 425, 429 or 5xx, or does not answer | the event is posted again: after `Retry-After` (an hour at most), else after growing waits up to 15 minutes. Meanwhile nothing else of the same $aggregate is posted, and all others go on |
| it answers anything else but 2xx | the event is kept: `SELECT subject, last_error FROM work WHERE status = 'failed'`. Once the cause is mended: `UPDATE work SET status = 'due', attempts = 0 WHERE status = 'failed'` |
| killed between the request and the commit of its outcome | the event is posted once more, with the same key, when the lease of 20 seconds has expired |
| an event is delivered twice | it is posted once |
| several events of one $aggregate | they are posted one after the other, in their order; one that has to be repeated may be overtaken |
| PostgreSQL or Kafka is away | events wait where they are |
"""
URL = "http://127.0.0.1:9000/"
FILES: Mapping[str, str] = {
    "pyproject.toml": PYPROJECT,
    "README.md": README,
    "$package/__init__.py": INIT,
    "$package/py.typed": "",
    "$package/__main__.py": MAIN,
    "$package/config.py": CONFIG,
    "$package/handlers.py": HANDLERS,
    "tests/test_$package.py": TEST,
}


def setting_of(name: str) -> str:
    """The setting that a new service adds; its variable names the service, so that no two share one."""
    return f"{package_of(name)}_url"


def files(name: str, event: type[Event]) -> dict[str, str]:
    """The texts by their paths within `services/<name>`; ruff has not formatted them yet."""
    package = package_of(name)
    facts = {
        "name": name,
        "package": package,
        "prefix": "".join(part.capitalize() for part in name.split("-")),
        "variable": package.upper(),
        "setting": setting_of(name),
        "url": URL,
        "pydantic": ".".join(version("pydantic").split(".")[:2]),
        "event": event.type,
        "module": event.__module__,
        "topic": event.topic,
        "aggregate": event.key,
        "handler": "on" + re.sub(r"(?=[A-Z])", "_", event.type).lower(),
    }
    return {
        Template(path).substitute(facts): Template(text).substitute(facts)
        for path, text in FILES.items()
    }
