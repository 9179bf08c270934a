"""The structure of the product's code in figures, of this tree and of an older commit side by side.

`python -m local.checks.structure [--against REF]`. Counted is the Python of `shared`, `services` and
`deploy` without tests (for the class names with the simulators as well); a function's length includes its signature, docstring and comments.
"""

import argparse
import ast
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from local.paths import ROOT

PRODUCT = ("shared", "services", "deploy")
SIMULATORS = "tests/simulators"
LONG_FUNCTION = 40
SHORT_FILE, LONG_FILE = 40, 300


@dataclass(frozen=True)
class Module:
    """One file: its path in the tree, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def is_init(self) -> bool:
        return self.path.endswith("__init__.py")


def modules(root: Path) -> list[Module]:
    """The product's modules below `root`."""
    return [
        Module(str(path.relative_to(root)), text, ast.parse(text))
        for folder in (*PRODUCT, SIMULATORS)
        for path in sorted((root / folder).rglob("*.py"))
        if not {"tests", ".venv"} & set(path.relative_to(root / folder).parts)
        if (text := path.read_text()) is not None
    ]


def function_lengths(found: list[Module]) -> list[int]:
    """Lines of each function and method, nested ones counted on their own as well."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    nodes = (node for module in found for node in ast.walk(module.tree) if isinstance(node, kinds))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes]


def repeated_classes(found: list[Module]) -> list[str]:
    """Names of public classes that stand in two or more modules."""
    names = Counter(name for module in found for name in set(_public_classes(module)))
    return sorted(name for name, count in names.items() if count > 1)


def _public_classes(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def figures(found: list[Module]) -> dict[str, int | float]:
    """What the table shows, by its row."""
    product = [module for module in found if not module.path.startswith(SIMULATORS)]
    lengths = function_lengths(product)
    files = [module for module in product if not module.is_init]
    return {
        "files": len(product),
        "lines": sum(module.lines for module in product),
        "functions": len(lengths),
        "function lines, p50": median(lengths),
        "function lines, p90": round(quantiles(lengths, n=10)[-1], 1),
        "function lines, max": max(lengths),
        f"functions over {LONG_FUNCTION} lines": sum(n > LONG_FUNCTION for n in lengths),
        f"files under {SHORT_FILE} lines": sum(m.lines < SHORT_FILE for m in files),
        f"files over {LONG_FILE} lines": sum(m.lines > LONG_FILE for m in files),
        "public class names in two or more modules": len(repeated_classes(found)),
        "lines of __init__ files": sum(m.lines for m in product if m.is_init),
    }


def of_commit(ref: str) -> list[Module]:
    """The modules of a commit; raises `CalledProcessError` for an unknown one."""
    command = ["git", "archive", "--format=tar", ref, *PRODUCT, SIMULATORS]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return modules(Path(folder))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("structure", description=__doc__)
    parser.add_argument("--against", metavar="REF", help="an older commit, for a column of its own")
    ref = parser.parse_args().against
    ours = figures(modules(ROOT))
    table = Table("figure", *([ref] if ref else []), "this tree")
    for column in table.columns[1:]:
        column.justify = "right"
    try:
        before = figures(of_commit(ref)) if ref else {}
    except subprocess.CalledProcessError as error:
        sys.exit(f"{ref}: {error.stderr.decode().strip()}")
    for name, value in ours.items():
        table.add_row(name, *([str(before[name])] if ref else []), str(value))
    Console().print(table)
    print("repeated:", ", ".join(repeated_classes(modules(ROOT))) or "none")


if __name__ == "__main__":
    main()
