"""Every event of `hoop_events` is catalogued, in whichever module, and services announce no others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hoop_events.base import Event, Id, State
from hoop_events.catalogue import EVENTS
from hoop_platform.service.service import Service, UncataloguedEvent
from local.paths import ROOT

NEW_MODULE = '''"""Events of a service that is being added."""

from typing import ClassVar

from hoop_events.base import Event, Id, State
from hoop_events.booking import AppointmentCreated  # noqa: F401 -- it stays an event of its own module


class Review(State):
    appointment_id: Id


class ReviewChanged(Event):
    topic: ClassVar = "reviews"
    key: ClassVar = "review"
    type: ClassVar = "ReviewChanged"
    source: ClassVar = "/reviews"

    state: Review
'''
WHAT_IS_KNOWN = """
from pathlib import Path
from hoop_events.catalogue import EVENTS, TOPICS
from local.codegen import event_schemas
types = [event.type for event in EVENTS]
print(types.count("ReviewChanged"), types.count("AppointmentCreated"), TOPICS.count("reviews"))
print(*sorted(name for name in event_schemas.files(Path("."))  if "ReviewChanged" in name))
"""


def run_with(events: Path, program: str) -> list[str]:
    """The lines that a program prints whose `hoop_events` is this copy."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=events.parents[1],
        env={**os.environ, "PYTHONPATH": str(events)},  # noqa: TID251 -- the interpreter's own
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_event_in_a_new_module_is_catalogued(tmp_path: Path) -> None:
    """Once, with a topic, a schema and golden records; there is no list to forget."""
    events = tmp_path / "shared/events"
    shutil.copytree(ROOT / "shared/events", events)
    (events / "hoop_events/reviews.py").write_text(NEW_MODULE)
    counts, files = run_with(events, WHAT_IS_KNOWN)
    assert counts == "1 1 1"
    assert files.split() == [
        "shared/events/golden/ReviewChanged/1.json",
        "shared/events/schemas/ReviewChanged/1.json",
    ]


def test_each_event_is_catalogued_once() -> None:
    types = [event.type for event in EVENTS]
    assert len(types) == len(set(types))


def test_a_service_that_announces_another_event_is_refused_at_its_import() -> None:
    """Its records would have no topic and no schema; the sentence says where the class belongs."""

    class Ours(State):
        calendar_id: Id

    class OursChanged(Event):
        topic = "ours"
        key = "ours"
        type = "OursChanged"
        source = "/ours"

        state: Ours

    with pytest.raises(UncataloguedEvent, match=r"extra announces OursChanged, .* of hoop_events"):
        Service("extra", announces=(OursChanged,))
