"""The accounts service: what it serves and the commands it has. It listens to nobody."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from accounts.api import ROUTES
from accounts.handlers import bootstrap
from hoop_events.accounts import (
    AccountChanged,
    ApiKeyChanged,
    ContactChanged,
    ContactDeleted,
    LocationChanged,
    LocationDeleted,
    UserChanged,
    UserDeleted,
)
from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.service.process import main
from hoop_platform.service.service import Service


async def make_demo(settings: Settings, argv: Sequence[str]) -> int:
    """`bootstrap --state FILE [--json]`: see to it that the demonstration's accounts are there."""
    parser = argparse.ArgumentParser("accounts bootstrap", description=make_demo.__doc__)
    parser.add_argument("--state", type=Path, required=True, help="where the API keys are kept")
    parser.add_argument("--json", action="store_true", help="say it as one JSON object")
    asked = parser.parse_args(argv)
    dsn = settings.database_url.get_secret_value()
    database = await Database.open(dsn, name="accounts bootstrap", pool_size=1)
    try:
        now = Clock(settings.clock_offset_file).now()
        demo = await bootstrap(database, keep=asked.state, now=now)
    finally:
        await database.close()
    lines = (f"{name}: {value}\n" for name, value in asdict(demo).items())
    sys.stdout.write(demo.as_json() if asked.json else "".join(lines))
    return 0


service = Service(
    "accounts",
    routes=ROUTES,
    announces=(
        AccountChanged,
        LocationChanged,
        LocationDeleted,
        UserChanged,
        UserDeleted,
        ContactChanged,
        ContactDeleted,
        ApiKeyChanged,
    ),
    commands={"bootstrap": make_demo},
)

if __name__ == "__main__":
    main(service)
