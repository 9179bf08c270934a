"""Gives schemathesis ids that exist, where the document can only say "an id"; keeps ours alive.

`HOOP_IDS`: by the name of a parameter or a field, an id that is there. A DELETE of one of `HOOP_KEPT`
becomes one of an unknown id: other tests need what it would delete.
"""

import json
import os
import re
from typing import Any

import schemathesis
from schemathesis import GenerationMode

IDS = json.loads(os.environ["HOOP_IDS"])  # noqa: TID251 -- how this program is asked
KEPT = set(json.loads(os.environ["HOOP_KEPT"]))  # noqa: TID251 -- how this program is asked
UNKNOWN = "0" * 26
EXAMPLE = "00000000"  # in the ids of the document's examples
AN_ID = re.compile(r"[0-9a-v]{25}[048cgkos]")


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    """Valid requests ask for something that is there; invalid ones go as they are."""
    if case.method == "DELETE":
        for name, value in (case.path_parameters or {}).items():
            if value in KEPT:
                case.path_parameters[name] = UNKNOWN
    elif case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
        for values in (case.path_parameters, case.query, case.body):
            if isinstance(values, dict):
                _point(values)


def _point(values: Any) -> None:
    for name, known in IDS.items():
        said = values.get(name)
        if isinstance(said, str) and (not AN_ID.fullmatch(said) or EXAMPLE in said):
            values[name] = known
