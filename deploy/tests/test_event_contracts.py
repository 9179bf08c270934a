"""The step "event contracts" of `./hoop check`: what it accepts, what it refuses, and in which words."""

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from hoop_events import base, codec
from hoop_events.base import Event
from local.checks.check import run, steps
from local.checks.event_contracts import breaches
from local.checks.published import FOLDER, MANIFEST
from local.checks.schema_form import Recursive
from local.codegen import event_schemas
from local.paths import ROOT

SOURCE = """
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from hoop_events.base import Contract, Event, Gone, Id, Moment, State


class Equipment(Contract):
    label: str
    units: int = 1


class Room(State):
    id: Id
    name: Annotated[str, StringConstraints(max_length=80)]
    kind: Literal["office", "studio"]
    note: str | None = None
    floor: int
    buffer_minutes: int = 0
    opened_at: Moment
    equipment: tuple[Equipment, ...] = ()
    main: Equipment = Equipment(label="desk")
    prices: dict[Id, int] = {}


class RoomChanged(Event):
    topic: ClassVar = "rooms"
    key: ClassVar = "room"
    type: ClassVar = "RoomChanged"
    source: ClassVar = "/rooms"
    state: Room


class RoomDeleted(Event):
    topic: ClassVar = "rooms"
    key: ClassVar = "room"
    type: ClassVar = "RoomDeleted"
    source: ClassVar = "/rooms"
    state: Gone
"""


def room_events(*changes: tuple[str, str]) -> tuple[type[Event], ...]:
    """The events of the source after replacing each old text, which occurs once, by the new one."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    module = ModuleType("rooms_of_a_test")
    sys.modules[module.__name__] = module  # pydantic looks the names of annotations up there
    try:
        exec(compile(source, "rooms.py", "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return tuple(
        found
        for name in ("RoomChanged", "RoomDeleted")
        if (found := vars(module).get(name)) is not None
    )


LAST = "    prices: dict[Id, int] = {}\n"


def write(tree: Path, *changes: tuple[str, str]) -> list[str]:
    """Do as `./hoop codegen` does for the events after these changes; returns the files it wrote."""
    written = []
    for name, text in event_schemas.files(tree, room_events(*changes)).items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            written.append(name.removeprefix(f"{FOLDER}/"))
    return sorted(written)


def check(tree: Path, *changes: tuple[str, str]) -> list[str]:
    """The breaches that the check finds after these changes."""
    return list(breaches(tree, room_events(*changes)))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree in which revision 1 of both events is published."""
    write(tmp_path)
    for event in room_events():
        monkeypatch.setitem(base.REVISIONS, event.type, 1)
    assert check(tmp_path) == []
    return tmp_path


def revision(monkeypatch, number: int) -> None:
    """As if hoop_events.revisions, which codegen has written, were imported anew."""
    monkeypatch.setitem(base.REVISIONS, "RoomChanged", number)


BREAKING = {
    "a field is removed": (
        ("    floor: int\n", ""),
        "$.state.floor was integer and is gone.",
        "keep the field and go on filling it",
    ),
    "an optional field is removed": (
        ("    note: str | None = None\n", ""),
        "$.state.note was string or null and is gone.",
        "consumers built with an older revision need it, or take its default for the truth",
    ),
    "a field is renamed": (
        ("    floor: int\n", "    level: int\n"),
        "$.state.floor was integer and is gone (renamed to `level`?).",
        "a field of a new name or unit is added beside it",
    ),
    "a unit is changed with the name": (
        ("buffer_minutes", "buffer_seconds"),
        "$.state.bufferMinutes was integer and is gone (renamed to `bufferSeconds`?).",
        "a field of a new name or unit is added beside it",
    ),
    "a required field is added": (
        (LAST, f"{LAST}    color: str\n"),
        "$.state.color is new and required.",
        "records that are in the topic lack it, so today's code could not read them",
    ),
    "a field is added whose default nobody can read": (
        (LAST, f"{LAST}    tags: list[str] = Field(default_factory=list)\n"),
        "$.state.tags is new and has no default.",
        "give it a literal default",
    ),
    "a type is changed": (
        ("    floor: int\n", "    floor: str\n"),
        "$.state.floor was integer and is string.",
        "add an optional one of the new type under another name",
    ),
    "an integer becomes a number": (
        ("    floor: int\n", "    floor: float\n"),
        "$.state.floor was integer and is number.",
        "could not read new records",
    ),
    "an item of a list is changed": (
        ("    units: int = 1\n", "    units: bool = True\n"),
        "$.state.equipment[*].units was integer and is boolean.",
        "keep the field as it was",
    ),
    "the values of a map are changed": (
        ("dict[Id, int]", "dict[Id, str]"),
        "$.state.prices.* was integer and is string.",
        "keep the field as it was",
    ),
    "the keys of a map are changed": (
        ("dict[Id, int]", "dict[str, int]"),
        "$.state.prices had keys like `^[0-9a-v]{25}[048cgkos]$` and has keys like any.",
        "either side may be unable to read what the other has written",
    ),
    "an optional field becomes required": (
        ("buffer_minutes: int = 0", "buffer_minutes: int"),
        "$.state.bufferMinutes was optional and is required.",
        "keep its default",
    ),
    "a required field becomes optional": (
        ("    floor: int\n", "    floor: int = 0\n"),
        "$.state.floor was required and is optional.",
        "keep it required, without a default, and fill it always",
    ),
    "a default is changed": (
        ("units: int = 1", "units: int = 2"),
        "$.state.equipment[*].units had the default `1` and has `2`.",
        "write the other value where the event is made",
    ),
    "null is allowed": (
        ("    floor: int\n", "    floor: int | None\n"),
        "$.state.floor may be null; it never was.",
        "could not read a record with null",
    ),
    "null is no longer allowed": (
        ("    note: str | None = None\n", '    note: str = ""\n'),
        "$.state.note may no longer be null.",
        "keep null allowed, and stop writing it",
    ),
    "an enumeration is widened": (
        ('"office", "studio"', '"office", "studio", "hall"'),
        "$.state.kind has the new value `hall`.",
        "write the nearest old value here and the new one into an added optional field",
    ),
    "an enumeration is narrowed": (
        ('"office", "studio"', '"office"'),
        "$.state.kind no longer has the value `studio`.",
        "keep the value, and stop writing it",
    ),
    "an enumeration is opened": (
        ('Literal["office", "studio"]', "str"),
        "$.state.kind was one of `office`, `studio` and is any string.",
        "know only the old values",
    ),
    "a limit is tightened": (
        ("max_length=80", "max_length=40"),
        "$.state.name had maxLength `80` and has maxLength `40`.",
        "check the tighter one where the event is made",
    ),
    "a limit is loosened": (
        ("max_length=80", "max_length=160"),
        "$.state.name had maxLength `80` and has maxLength `160`.",
        "add an optional field for what does not fit",
    ),
    "a limit is dropped": (
        ("Annotated[str, StringConstraints(max_length=80)]", "str"),
        "$.state.name had maxLength `80` and has no maxLength.",
        "check the old limit",
    ),
    "a pattern is added": (
        ("max_length=80", 'max_length=80, pattern="^[a-z]+$"'),
        "$.state.name had no pattern and has pattern `^[a-z]+$`.",
        "may exceed the new limit",
    ),
    "an instant becomes any text": (
        ("opened_at: Moment", "opened_at: str"),
        "$.state.openedAt had format `date-time` and has no format.",
        "check the old limit",
    ),
    "unknown properties are refused": (
        ("    label: str\n", '    model_config = ConfigDict(extra="forbid")\n    label: str\n'),
        "$.state.equipment[*] allows no unknown properties.",
        'remove extra="forbid"',
    ),
    "the topic is changed": (
        (
            '"rooms"\n    key: ClassVar = "room"\n    type: ClassVar = "RoomChanged"',
            '"halls"\n    key: ClassVar = "room"\n    type: ClassVar = "RoomChanged"',
        ),
        "the event has the topic `halls`; it was `rooms`.",
        "listen to the old topic and would hear nothing more of it",
    ),
    "the key is changed": (
        (
            '"room"\n    type: ClassVar = "RoomChanged"',
            '"floor"\n    type: ClassVar = "RoomChanged"',
        ),
        "the event has the key `floor`; it was `room`.",
        "records of one aggregate lose their order",
    ),
    "the type is removed": (
        ("class RoomChanged(Event)", "class RoomUpdated(Event)"),
        "the event is gone.",
        "keep its class in hoop_events",
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_refused_with_what_was_what_is_and_what_to_do(tree, name):
    """One paragraph names the event, the revision, the field, whom it breaks and what to do instead."""
    change, what, why = BREAKING[name]

    found = check(tree, change)

    (paragraph,) = [each for each in found if what in each]
    assert paragraph.startswith(f"RoomChanged (revision 1): {what} This breaks: ")
    assert why in paragraph
    assert " Instead: " in paragraph
    assert [each for each in write(tree, change) if "/" in each and "revisions" not in each] == []


def test_all_breaks_are_named_at_once(tree):
    changes = [
        BREAKING[name][0]
        for name in ("a type is changed", "a limit is tightened", "null is no longer allowed")
    ]
    found = "\n".join(check(tree, *changes))
    for path in ("$.state.floor was", "$.state.name had", "$.state.note may"):
        assert path in found


def test_event_types_that_share_a_model_share_the_paragraph(tree):
    """Two events with the same state: the change is explained once, for both."""
    second = ("state: Gone", "state: Room")
    room = tree / "other"
    write(room, second)
    assert [each.partition(":")[0] for each in check(room, second, BREAKING["a type is changed"][0])
            if "$.state.floor" in each] == ["RoomChanged (revision 1), RoomDeleted (revision 1)"]  # fmt: skip


COMPATIBLE = {
    "an optional field": (LAST, f"{LAST}    color: str | None = None\n"),
    "an optional field in a list, and in a default": ("    units: int = 1\n", "    units: int = 1\n    serial: str = ''\n"),
    "an optional field of a new model": (LAST, f"{LAST}    spare: Equipment | None = None\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPATIBLE)
def test_an_added_optional_field_is_a_new_revision(tree, monkeypatch, name):
    """The check names the command, the command writes the revision, and both are content afterwards."""
    (found,) = check(tree, COMPATIBLE[name])
    assert re.match(r"RoomChanged has gained `\$\.state\.", found)
    assert "./hoop codegen writes it as revision 2" in found

    assert write(tree, COMPATIBLE[name]) == [
        "golden/RoomChanged/2.json",
        "hoop_events/revisions.py",
        "published.sha256",
        "schemas/RoomChanged/2.json",
    ]
    revision(monkeypatch, 2)
    assert check(tree, COMPATIBLE[name]) == []
    assert write(tree, COMPATIBLE[name]) == []


def test_a_change_is_compared_with_every_revision_ever_published(tree, monkeypatch):
    """A field of revision 2 may not go, although revision 1 never had it."""
    write(tree, COMPATIBLE["an optional field"])
    revision(monkeypatch, 2)

    (found,) = [each for each in check(tree) if "color" in each]

    assert found.startswith(
        "RoomChanged (revision 2): $.state.color was string or null and is gone."
    )


def test_words_may_change_without_a_revision(tree):
    """Titles and descriptions bind nobody."""
    change = ("    floor: int\n", '    floor: int\n    """Counted from the street."""\n')
    assert check(tree, change) == []
    assert write(tree, change) == []


def test_a_new_event_needs_its_files(tree):
    change = ('type: ClassVar = "RoomDeleted"', 'type: ClassVar = "RoomClosed"')
    found = check(tree, change)
    assert (
        "RoomClosed is new, and its schema is not in the tree; ./hoop codegen writes it as revision 1"
        in found[-1]
    )


@pytest.mark.parametrize("folder", ["schemas", "golden"])
def test_a_published_file_is_neither_edited_nor_removed(tree, folder):
    """Not even by a blank; and codegen does not take the opportunity to write another revision."""
    path = tree / FOLDER / folder / "RoomChanged/1.json"
    path.write_text(f"{path.read_text()} ")
    assert check(tree)[0].startswith(
        f"{FOLDER}/{folder}/RoomChanged/1.json was published and has been edited."
    )
    assert write(tree, COMPATIBLE["an optional field"]) == [] or folder == "golden"

    path.unlink()
    assert "restore it from the history" in check(tree)[0]


def test_the_manifest_keeps_its_lines(tree, monkeypatch):
    """A revision that is missing between others is missed, although its file is gone as well."""
    write(tree, COMPATIBLE["an optional field"])
    revision(monkeypatch, 2)
    manifest = tree / MANIFEST
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "schemas/RoomChanged/1" not in line))

    assert (
        f"{MANIFEST}: it lacks revision 1 of RoomChanged."
        in check(tree, COMPATIBLE["an optional field"])[0]
    )


def test_the_manifest_is_one_of_sha256sum(tree):
    assert re.fullmatch(r"([0-9a-f]{64}  \S+\n){4}", (tree / MANIFEST).read_text())


def test_a_validator_that_no_schema_shows_is_found_by_the_golden_records(tree):
    """The schema is the same, but the model no longer reads what was published."""
    change = (
        "    floor: int\n",
        "    floor: Annotated[int, __import__('pydantic').AfterValidator(lambda n: n if n < 5 else [].index(n))]\n",
    )
    (found,) = check(tree, change)
    assert found.startswith(
        "RoomChanged, golden record `minimal` of revision 1, `full` of revision 1"
    )
    assert (
        "today's code cannot decode it: RoomChanged breaks its schema at: state.floor. "
        "Such records are in the topic and would become dead letters" in found
    )


def test_a_serializer_that_no_schema_shows_is_found_by_the_golden_records(tree):
    change = (
        "    floor: int\n",
        "    floor: Annotated[int, __import__('pydantic').PlainSerializer(lambda n: n + 1)]\n",
    )
    (found,) = check(tree, change)
    assert "decoded and encoded again, $.state.floor was `7` and is `8`." in found
    assert "Something that was published is lost or means something else" in found


def test_another_encoding_is_found_by_the_golden_records(tree, monkeypatch):
    """The same event in other bytes: here without sorted keys."""
    monkeypatch.setattr(codec, "body", lambda event: event.model_dump_json(by_alias=True).encode())
    found = "\n".join(check(tree))
    assert "RoomChanged, golden record `minimal` of revision 1" in found
    assert "today's code writes the same event in other bytes." in found
    assert "The encoding of a revision never changes" in found


def test_other_headers_are_found_by_the_golden_records(tree, monkeypatch):
    original = codec.attributes
    monkeypatch.setattr(codec, "attributes", lambda **given: [*original(**given), ("ce_new", b"1")])
    assert "today's code writes other headers: [('ce_new', b'1')]" in "\n".join(check(tree))


def test_a_model_that_contains_itself_is_refused(tree):
    change = (
        "    units: int = 1\n",
        "    units: int = 1\n    parts: tuple['Equipment', ...] = ()\n",
    )
    with pytest.raises(Recursive, match="Equipment contains itself"):
        check(tree, change)


def test_hoop_check_refuses_a_planted_break_of_an_event_of_ours(tmp_path, monkeypatch):
    """The command of the check itself, run on a copy of this tree in which somebody renames a field."""
    shutil.copytree(ROOT / FOLDER, tmp_path / FOLDER, ignore=shutil.ignore_patterns("__pycache__"))
    model = tmp_path / FOLDER / "hoop_events/booking.py"
    model.write_text(
        model.read_text().replace("assigned_user_id: Id | None = None", "host_id: Id | None = None")
    )
    (step,) = [each for each in steps() if each.name == "event contracts"]
    assert run(step).ok

    monkeypatch.setenv("PYTHONPATH", str(tmp_path / FOLDER))
    result = run(replace(step, command=[*step.command[:-1], tmp_path]))

    assert not result.ok
    assert (
        "$.state.assignedUserId was string or null and is gone (renamed to `hostId`?)."
        in result.output
    )
    for name in ("Created", "Rescheduled", "Updated", "Deleted"):
        assert f"Appointment{name} (revision 1" in result.output
    assert "This breaks: consumers built with an older revision need it" in result.output
    assert "Instead: keep the field and go on filling it" in result.output
    assert len(result.output.strip().splitlines()) == 1  # the golden records add nothing to it
