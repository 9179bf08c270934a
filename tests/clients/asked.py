"""What a client's program is told: whom to ask, with which key, about what."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hoop_platform.ids import new_id

DAY = "2027-03-01T05:00:00+00:00"  # midnight in New York; the users are nobody else's


def asked(system: Any) -> dict[str, str]:
    """The environment of a program, with two users of its own; made before it starts."""

    async def users() -> list[str]:
        async with system.client() as ask:
            return [await _user(ask, system.facts["location_id"]) for _ in range(2)]

    with ThreadPoolExecutor(1) as thread:  # what lives for the session belongs to no test's loop
        created = thread.submit(asyncio.run, users()).result()
    facts = {
        "location": system.facts["location_id"],
        "contact": system.facts["contact_ids"][0],
        "users": created,
        "day": DAY,
    }
    return {
        "HOOP_BASE_URL": system.facts["base_url"],
        "HOOP_API_KEY": system.facts["api_key"],
        "HOOP_FACTS": json.dumps(facts),
    }


async def _user(ask: Any, location: str) -> str:
    name = f"client-{new_id()}"
    body = {"name": name, "email": f"{name}@staff.example.com", "locationIds": [location]}
    answer = await ask("POST", "/users/", body)
    assert answer.status < 300, answer.body
    return str(answer.body["user"]["id"])
