"""Rate limits on the running system: several services count together."""

import asyncio
from typing import Any


async def test_a_key_with_the_default_limits(system: Any) -> None:
    """Of forty requests at once to three services ten are let in; all answers say what is left."""
    facts = system.facts
    async with system.client("limited_api_key") as ask:
        query = {"locationId": facts["location_id"]}
        slots = {"startDate": "1804000000000", "endDate": "1804080000000"}
        asked = [
            *(ask("GET", "/calendars/", query=query) for _ in range(16)),
            *(ask("GET", "/users/", query=query) for _ in range(12)),
            *(
                ask("GET", f"/calendars/{facts['calendar_id']}/free-slots", query=slots)
                for _ in range(12)
            ),
        ]
        answers = await asyncio.gather(*asked)
    let_in = [answer for answer in answers if answer.status != 429]
    assert {answer.headers["X-RateLimit-Limit-Daily"] for answer in answers} == {"10000"}
    assert 10 <= len(let_in) <= 20, "ten for each of the at most two seconds that this takes"
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.body["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) >= 1
