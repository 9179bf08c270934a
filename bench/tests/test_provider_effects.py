"""Effects at the providers: how many a booking has, and what was added."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.systems.provider_effects import Effects


def test_a_booking_has_a_meeting_an_event_and_two_mails() -> None:
    """What was there before does not count."""
    before, now = Effects(meetings=1, events=7, mails=4), Effects(meetings=4, events=10, mails=10)
    assert now.since(before) == Effects.expected(3)
