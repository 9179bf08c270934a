"""The lists of services and libraries in the root pyproject.toml, which its tools cannot glob.

A generated line ends with `# ./hoop codegen: NAME`; the value is replaced, the rest stays.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.checks.workspace import Member, members

LINE = re.compile(r"^([\w-]+) = .*?(  # \./hoop codegen: ([\w-]+).*)$", re.MULTILINE)
OTHER_PATHS = ("tests", ".")
OTHER_PACKAGES = ("simulators", "bench")


def rendered(text: str, root: Path) -> str:
    """The text of pyproject.toml with the lists of this tree."""
    values = lists(root)

    def line(found: re.Match[str]) -> str:
        return f"{found[1]} = {json.dumps(values[found[3]])}{found[2]}"

    return LINE.sub(line, text)


def lists(root: Path) -> Mapping[str, Sequence[str]]:
    """The generated lists by their names."""
    found = members(root)
    libraries = [member for member in found if member.folder.parent.name == "shared"]
    services = [member.package for member in found if member.folder.parent.name == "services"]
    others = [member for member in found if member.folder.parent == root]
    layers = library_layers(libraries)
    packages = [
        *(package for layer in reversed(layers) for package in layer),
        *services,
        *(member.package for member in others),
    ]
    return {
        "paths": [*(str(member.folder.relative_to(root)) for member in found), *OTHER_PATHS],
        "typed-packages": [*packages, *OTHER_PACKAGES],
        "packages": packages,
        "layers": [
            *(member.package for member in others),
            " | ".join(services),
            *(" | ".join(layer) for layer in layers),
        ],
        "services": services,
    }


def library_layers(libraries: Sequence[Member]) -> list[list[str]]:
    """The packages of the libraries in layers: each may depend on those of lower layers only."""
    layers, left = [], list(libraries)
    while left:
        required = {name for member in left for name in member.dependencies}
        top = [member for member in left if member.name not in required] or left
        layers.append(sorted(member.package for member in top))
        left = [member for member in left if member not in top]
    return layers
