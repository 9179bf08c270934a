"""Rate limits: so many requests a second and a minute for each key, so many a day for each account."""

from shared.limits.allowance import UNLIMITED, Allowance, Standing
from shared.limits.limiter import Limiter
