"""The search for the highest rate that holds: doubled until one does not, then halved intervals."""

from collections.abc import Awaitable, Callable

Holds = Callable[[int], Awaitable[bool]]

CLOSE = 0.15
"""The search ends when the rate that holds and the one that does not are so close, as a share."""


async def highest_rate(holds: Holds, *, first: int, most: int) -> int:
    """Return the highest rate (a whole number, at most `most`) found to hold; 0 if not even 1 does."""
    low, high = 0, most + 1
    rate = first
    while 1 <= rate <= most and (low == 0 or high > most):
        if await holds(rate):
            low = rate
            rate = rate * 2 if high > most else 0
        else:
            high = rate
            rate = rate // 2 if low == 0 else 0
    return await _between(holds, low, high) if low else 0


async def _between(holds: Holds, low: int, high: int) -> int:
    """Narrow the interval between a rate that holds and one that does not, or was never asked for."""
    while high - low > max(1, int(low * CLOSE)):
        middle = (low + high) // 2
        if await holds(middle):
            low = middle
        else:
            high = middle
    return low


async def confirmed_rate(holds: Holds, rate: int, *, tries: int) -> int:
    """Return the first rate that holds, from this one downwards by a tenth each time; 0 if none does."""
    for _ in range(tries):
        if rate < 1 or await holds(rate):
            return rate
        rate = min(rate - 1, round(rate * 0.9))
    return 0
