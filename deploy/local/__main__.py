"""`python -m local`: the program that `./hoop` starts once the environment is installed."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130 at any moment, also during imports."""
    try:
        from local.cli.commands import app  # noqa: PLC0415 - the import takes a while and may be interrupted

        app(prog_name="./hoop")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
