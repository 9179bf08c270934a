"""`./hoop bench`: measures the running system in multiples of what the machine can do just then."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.command_line import app

app(prog_name="hoop bench --")
