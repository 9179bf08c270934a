"""The folders of this tree and the file names in the folder of a running system."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"  # data, logs and stack.json of one running system
CACHE = ROOT / ".cache"  # shared by all systems: Kafka's jars
VENV = ROOT / ".venv"  # the environment: what a command needs is installed there
LOCK = ROOT / "requirements.lock"  # all that is pinned
UP_LOCK = ROOT / "requirements-up.lock"  # the part of it that `./hoop up` needs
STACK_FILE = "stack.json"  # in the folder of a system while it runs
MARK = ".hoop"  # in each folder that `up` created; `clean` removes no other folder
