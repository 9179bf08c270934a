"""Speaks HTTP: `/locations`, `/users`, `/contacts` and `/api-keys`."""

from accounts.api.keys import ROUTES as _KEYS
from accounts.api.rows import ROUTES as _ROWS

ROUTES = (*_ROWS, *_KEYS)
