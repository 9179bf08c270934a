"""The commands that run a system and look at it. What a command needs is imported when it runs."""

from local.cli.command_line import (
    Command,
    Options,
    Parser,
    json_option,
    local_option,
    port_option,
    seconds,
    whole_number,
)
from local.cli.options import UpOptions, WrongUsage
from local.install.environment import Parts


def _up(options: Options) -> int:
    if options.once and not options.demo:
        raise WrongUsage("--once stops after the demonstration, which --no-demo leaves out")
    from local.cli.up import run_up  # noqa: PLC0415 - it imports every service

    return run_up(UpOptions(**vars(options)))


def _up_options(parser: Parser) -> None:
    parser.add_argument("--once", action="store_true", help="stop after the demonstration")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="only serve, without a demonstration"
    )
    parser.add_argument("--split", action="store_true", help="one process for each service")
    port_option(parser)
    local_option(parser)
    json_option(parser)
    parser.add_argument(
        "--zoom-limit",
        metavar="N",
        type=whole_number(1, 100_000),
        help="writes that the simulated Zoom allows a user in a day (Zoom's own limit is 100)",
    )
    parser.add_argument(
        "--poll", metavar="SECONDS", type=seconds, help="between two looks at Google (usually 2)"
    )
    parser.add_argument(
        "--limits",
        action="store_true",
        help="limit requests as in production, and show a key that has limits",
    )


def _status(options: Options) -> int:
    from local.cli.status import run_status  # noqa: PLC0415 - every other command starts sooner

    return run_status(local=options.local, as_json=options.json)


def _logs(options: Options) -> int:
    from local.cli.logs import run_logs  # noqa: PLC0415 - as above

    return run_logs(options.services, local=options.local, lines=options.n, follow=options.follow)


def _logs_options(parser: Parser) -> None:
    parser.add_argument("services", metavar="SERVICE", nargs="*", help="whose log; default: all")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument(
        "-n", metavar="LINES", type=whole_number(0, 100_000), default=20, help="of each log"
    )
    local_option(parser)


def _open(options: Options) -> int:
    from local.cli.visit import run_open  # noqa: PLC0415 - as above

    return run_open(options.what, local=options.local)


def _open_options(parser: Parser) -> None:
    choices = ("docs", "inbox")
    parser.add_argument("what", nargs="?", choices=choices, default="docs", help="default: docs")
    local_option(parser)


def _book(options: Options) -> int:
    from local.cli.visit import run_book  # noqa: PLC0415 - as above

    return run_book(local=options.local, as_json=options.json)


def _doctor(options: Options) -> int:
    from local.cli.doctor import run_doctor  # noqa: PLC0415 - as above

    return run_doctor(port=options.port, local=options.local, as_json=options.json)


def _clean(options: Options) -> int:
    from local.cli.clean import run_clean  # noqa: PLC0415 - as above

    return run_clean(
        local=options.local, everything=options.all, force=options.force, as_json=options.json
    )


def _clean_options(parser: Parser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also .venv and .cache: the next ./hoop installs again"
    )
    parser.add_argument("--force", action="store_true", help="even while a system runs there")
    local_option(parser)
    json_option(parser)


def _system_options(parser: Parser) -> None:
    local_option(parser)
    json_option(parser)


def _doctor_options(parser: Parser) -> None:
    port_option(parser)
    local_option(parser)
    json_option(parser)


COMMANDS = (
    Command(
        name="up",
        about="Run the whole system on this machine and a demonstration, until Ctrl-C.",
        needs=Parts.UP,
        run=_up,
        options=_up_options,
        examples=("up", "up --once", "up --split --port 9080 --local .local/second"),
    ),
    Command(
        name="status",
        about="Say what runs, where, and whether it is ready.",
        needs=None,
        run=_status,
        options=_system_options,
    ),
    Command(
        name="logs",
        about="Print the logs of a running or ended system.",
        needs=None,
        run=_logs,
        options=_logs_options,
        examples=("logs", "logs kafka -f"),
    ),
    Command(
        name="open",
        about="Open the API's documentation, or the inbox, in a browser.",
        needs=None,
        run=_open,
        options=_open_options,
        examples=("open", "open inbox"),
    ),
    Command(
        name="book",
        about="Book the next free slot of the demo calendar.",
        needs=None,
        run=_book,
        options=_system_options,
    ),
    Command(
        name="doctor",
        about="List what is missing on this machine, why it is needed, and what fixes it.",
        needs=None,
        run=_doctor,
        options=_doctor_options,
    ),
    Command(
        name="clean",
        about="Remove everything that `up` wrote.",
        needs=None,
        run=_clean,
        options=_clean_options,
    ),
)
