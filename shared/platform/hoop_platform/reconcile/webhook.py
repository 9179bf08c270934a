"""Webhooks: an event is posted to an HTTP endpoint, as CloudEvents' HTTP binding has it, until it answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientTimeout, InvalidURL

from hoop_platform.providers.bounded_http import parse_retry_after
from hoop_platform.providers.errors import (
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    Unreachable,
)
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.effects import Effect
from hoop_platform.reconcile.outcome import Done, Outcome
from hoop_platform.runtime import Runtime

KEY = "Idempotency-Key"
CONTENT_TYPE = "application/cloudevents+json"
TIMEOUT = ClientTimeout(total=10, connect=3)
"""Seconds for one request, far less than the lease that it is made under."""
LONGEST_WAIT = timedelta(hours=1)
NOT_NOW = frozenset({408, 409, 425})
"""Statuses after which the same request may succeed later, besides 429 and 5xx. 409: the first request
of the key is still being processed."""


def post_event(*, to: Callable[[Any], str]) -> Effect:
    """The effect that posts the event of `desire_for` to the URL that `to` reads from the settings.

    The header `Idempotency-Key` is the event's id: an endpoint may get a request twice, after a lost
    response, and knows it by this key.
    """

    async def post(runtime: Runtime[Any], claimed: Claimed) -> Outcome:
        event = claimed.desired_state.desired
        await post_json(runtime, to(runtime.settings), event, key=event["id"])
        return Done()

    return post


async def post_json(runtime: Runtime[Any], url: str, body: Mapping[str, Any], *, key: str) -> None:
    """Post once; returns when the endpoint has answered 2xx, and raises a `ProviderError` otherwise.

    The status is the whole answer: the body is not read, redirects are not followed. What may be
    posted again later is `RateLimited` (429), `Unreachable` or `OutcomeUnknown`, with the `Retry-After`
    of the response, an hour at most; any other response is `RequestRejected`.
    """
    try:
        async with runtime.http.post(
            url,
            data=orjson.dumps(body),
            headers={"Content-Type": CONTENT_TYPE, KEY: key},
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            _check(response, now=runtime.clock.now())
    except InvalidURL as error:
        raise RequestRejected("the endpoint's URL is invalid") from error
    except ClientConnectorError as error:
        raise Unreachable(f"cannot be reached: {type(error).__name__}") from error
    except (ClientError, TimeoutError, OSError) as error:
        raise OutcomeUnknown(f"no response: {type(error).__name__}") from error


def _check(response: ClientResponse, *, now: datetime) -> None:
    """Raise the error of a response that is not 2xx."""
    if 200 <= response.status < 300:
        return
    text = f"answered {response.status}"
    wait = parse_retry_after(response.headers.get("Retry-After"), now=now)
    wait = None if wait is None else min(wait, LONGEST_WAIT)
    if response.status == 429:
        raise RateLimited(text, wait=wait)
    if response.status in NOT_NOW or response.status >= 500:
        raise OutcomeUnknown(text, wait=wait)
    raise RequestRejected(text)
