"""What tests on the running system share: two accounts that have one of everything."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import offending
import tenants


@pytest.fixture
async def worlds(desk: Any, eventually: Any) -> AsyncIterator[tenants.Worlds]:
    async with tenants.worlds(desk, eventually) as both:
        yield both


@pytest.fixture
async def offender(
    system: Any, eventually: Any, record_property: Any
) -> AsyncIterator[offending.Offender]:
    async with offending.offender(system, eventually, record_property) as one:
        yield one
