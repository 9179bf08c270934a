"""All services in one process on one port: `python -m local.stack.all_in_one FOLDER`."""

from hoop_platform.service.process import run, settings_of
from local.stack.topology import services


def main() -> None:
    """Run all services until SIGTERM."""
    run([(one, settings_of(one)) for one in services()])


if __name__ == "__main__":
    main()
