"""Does what clients and operators ask for: one transaction each, the rows and their announcement."""

from accounts.handlers.demo import Demo, bootstrap
from accounts.handlers.keys import mint, revoke
from accounts.handlers.rows import add, change, remove
