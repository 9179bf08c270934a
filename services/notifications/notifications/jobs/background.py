"""The background tasks: the worker that delivers mails."""

import asyncio
from collections.abc import Sequence
from functools import partial

from hoop_platform.reconcile.attempt import attempt
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from notifications.config import NotificationsSettings
from notifications.handlers import appointments
from notifications.jobs.mails import MailReconciler
from notifications.providers.smtp import MailServer


def background_tasks(runtime: Runtime[NotificationsSettings]) -> Sequence[BackgroundTask]:
    """The tasks that run beside HTTP and the consumer."""

    async def deliver_mails(stop: asyncio.Event) -> None:
        server = mail_server(runtime.settings)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(MailWorker(runtime, server).run(stop))
                await stop.wait()
                server.stop()
        finally:
            server.close()

    return (deliver_mails,)


def mail_server(settings: NotificationsSettings) -> MailServer:
    """The mail server of the settings; nothing is connected yet."""
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password,
        local_hostname=settings.sender.domain,
        timeout=settings.smtp_timeout,
        data_timeout=settings.smtp_data_timeout,
    )


class MailWorker(Worker):
    """The worker for the desired states of this service; handlers see how long mails wait for links."""

    def __init__(self, runtime: Runtime[NotificationsSettings], server: MailServer) -> None:
        perform = partial(attempt, runtime, MailReconciler(runtime, server))
        settings = runtime.settings
        super().__init__(
            runtime.db,
            {appointments.MAIL: perform},
            concurrency=settings.mail_concurrency,
            longest_work=settings.longest_delivery,
        )
        self.link_wait = runtime.settings.link_wait_time
        self.series_wait = runtime.settings.series_wait_time
