"""`./hoop bench`: measures the running system in multiples of what the machine can do just then."""

from scorecard.cli import app

app(prog_name="hoop bench --")
