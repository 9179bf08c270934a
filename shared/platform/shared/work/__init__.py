"""Work on the world outside: wishes are written down with their cause, workers pursue them until it agrees."""

from shared.work.wishes import Claimed, Done, Failed, Later, Outcome, Wish, open_gate, want
from shared.work.worker import LEASE, LONGEST_WAIT, LeaseLost, Perform, Worker, every
