"""`python -m local`: the program that `./hoop` starts once the environment is installed."""

import sys

INTERRUPTED = 130


def main() -> int:
    """Run the command line; Ctrl-C ends it with status 130 at any moment, also during imports."""
    try:
        from local.cli.commands import main as run  # noqa: PLC0415 - the import takes a while and may be interrupted

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
