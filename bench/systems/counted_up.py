"""`./hoop up` with every SQL statement counted and no calendar polled, as a program: same arguments."""

import sys

from local.cli.commands import main
from local.servers import postgres
from local.stack import processes, topology

COUNTED = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",  # what a function runs inside is part of its one call
    "pg_stat_statements.track_utility": "on",  # BEGIN and COMMIT are round trips as well
    "pg_stat_statements.max": "10000",
}
QUIET = {"GOOGLE_POLL_SECONDS": "1000000"}  # eleven days


def _environment(ports: topology.Ports, *, data_key: str, database_url: str) -> dict[str, str]:
    usual = topology.environment(ports, data_key=data_key, database_url=database_url)
    return usual | QUIET


if __name__ == "__main__":
    postgres.EMBEDDED.update(COUNTED)
    processes.environment = _environment
    sys.exit(main(sys.argv[1:]))
