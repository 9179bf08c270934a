"""Who exists and who may call: rows as plain values, what may stand in them, what a key may give."""

from accounts.domain.fields import check, is_address, is_name, is_phone
from accounts.domain.keys import UNLIMITED, Powers, grant
from accounts.domain.rows import Account, ApiKey, Contact, Location, Row, User, patched
