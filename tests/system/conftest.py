"""What tests on the running system share: two accounts that have one of everything."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.offending import Offender
from support.offending import offender as open_offender
from support.tenants.worlds import Worlds
from support.tenants.worlds import worlds as open_worlds


@pytest.fixture
async def worlds(desk: Any, eventually: Any) -> AsyncIterator[Worlds]:
    async with open_worlds(desk, eventually) as both:
        yield both


@pytest.fixture
async def offender(system: Any, eventually: Any, record_property: Any) -> AsyncIterator[Offender]:
    async with open_offender(system, eventually, record_property) as one:
        yield one
