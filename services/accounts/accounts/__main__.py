"""The accounts service: its routes, events and commands. It consumes no events."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from accounts.api import api_keys, contacts, locations, users
from accounts.handlers.bootstrap import bootstrap
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


async def bootstrap_command(settings: Settings, argv: Sequence[str]) -> int:
    """`bootstrap --state FILE [--json]`: create what is missing of the demonstration accounts."""
    parser = argparse.ArgumentParser("accounts bootstrap", description=bootstrap_command.__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the file of the API keys")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    dsn = settings.database_url.get_secret_value()
    database = await Database.open(dsn, name="accounts bootstrap", pool_size=1)
    try:
        now = Clock(settings.clock_offset_file).now()
        demo = await bootstrap(database, key_file=arguments.state, now=now)
    finally:
        await database.close()
    lines = (f"{name}: {value}\n" for name, value in asdict(demo).items())
    sys.stdout.write(demo.as_json() if arguments.json else "".join(lines))
    return 0


service = Service(
    "accounts",
    routes=(*locations.ROUTES, *users.ROUTES, *contacts.ROUTES, *api_keys.ROUTES),
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
    commands={"bootstrap": bootstrap_command},
)

if __name__ == "__main__":
    main(service)
