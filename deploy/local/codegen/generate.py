"""`./hoop codegen`: writes every generated file, or lists those that are stale."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local.codegen import (
    architecture,
    compose,
    event_schemas,
    gateway,
    openapi,
    pyproject,
    runtime_lock,
)
from local.paths import ROOT
from local.stack.topology import services

COMMAND = "./hoop codegen"


@dataclass(frozen=True)
class GeneratedFile:
    """A file that is generated, or has generated parts. `render` returns its whole content."""

    name: str
    render: Callable[[], str]


def generated_files(root: Path = ROOT) -> list[GeneratedFile]:
    """All generated files of a tree; names are relative to its root."""
    known = services(root)

    def edited(render: Callable[[str], str], name: str) -> GeneratedFile:
        return GeneratedFile(name, lambda: render((root / name).read_text()))

    return [
        edited(lambda text: pyproject.rendered(text, root), "pyproject.toml"),
        edited(lambda text: compose.rendered(text, known), "deploy/compose.yaml"),
        edited(lambda text: architecture.rendered(text, known), "ARCHITECTURE.md"),
        GeneratedFile("deploy/gateway/nginx.conf", lambda: gateway.configuration(known)),
        GeneratedFile(openapi.NAME, lambda: openapi.text(known).decode()),
        *(
            GeneratedFile(lock.name, partial(runtime_lock.text, root, lock))
            for lock in (runtime_lock.RUNTIME, runtime_lock.LOCAL)
        ),
        *(
            GeneratedFile(name, partial(str, text))
            for name, text in event_schemas.files(root).items()
        ),
    ]


def stale_files(root: Path = ROOT) -> dict[Path, str]:
    """The paths of the files that are not as they would be generated, and what they should contain."""
    contents = {root / file.name: file.render() for file in generated_files(root)}
    return {
        path: content
        for path, content in contents.items()
        if not path.exists() or path.read_text() != content
    }


def run_codegen(*, check: bool, root: Path = ROOT) -> bool:
    """Write the stale files, or with `check` only list them; returns whether all is well.

    Events that break their contract are named and get no files.
    """
    stale = stale_files(root)
    for path, content in stale.items():
        name = path.relative_to(root)
        if check:
            print(f"{name} is stale; {COMMAND} writes it")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            print(f"wrote {name}")
    broken = [] if check else [*event_schemas.broken(root)]  # `./hoop check` has a step of its own
    print("\n\n".join(broken), end="\n" if broken else "")
    return not (check and stale) and not broken
