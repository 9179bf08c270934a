"""All services in one process on one port: `python -m local.together FOLDER`."""

from local.topology import SERVICES, service
from shared.service import run, settings_of


def main() -> None:
    """Run them until told to stop."""
    services = [service(name) for name in SERVICES]
    run([(one, settings_of(one)) for one in services])


if __name__ == "__main__":
    main()
