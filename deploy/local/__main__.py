"""`python -m local`: what `./hoop` becomes once the environment stands."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; an interrupt is none of its failures, however early it comes."""
    try:
        from local.cli.commands import app  # noqa: PLC0415 - importing takes a while, and may be interrupted

        app(prog_name="./hoop")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
