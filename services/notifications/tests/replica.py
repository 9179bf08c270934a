"""A process that delivers mails and nothing else: `replica.py DSN SMTP_PORT FAILPOINTS`, until SIGTERM."""

import asyncio
import signal
import sys
from typing import Any

from hoop_platform import failpoints
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.runtime import Runtime
from notifications.config import NotificationsSettings
from notifications.jobs.background import background_tasks


async def main(dsn: str, smtp_port: str, spec: str) -> None:
    failpoints.arm(spec)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = NotificationsSettings(
        database_url=dsn,
        kafka_bootstrap="none:0",
        smtp_host="127.0.0.1",
        smtp_port=int(smtp_port),
        smtp_tls="none",
        mail_from="Hoop <appointments@hoop.example>",
    )
    database, unused = await Database.open(dsn, name="replica"), _unused()
    runtime = Runtime("notifications", settings, database, Clock(), unused, unused, None)
    [deliver_mails] = background_tasks(runtime)
    await deliver_mails(stop)
    await database.close()


def _unused() -> Any:
    return None


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
