"""Accounts: the tenants."""

from dataclasses import dataclass

from accounts.domain.entity import Entity
from hoop_events import accounts as events


@dataclass(frozen=True, kw_only=True)
class AccountEntity(Entity):
    """A tenant. Its id is the account id of every entity in it."""

    state_type = events.Account
    changed_event = events.AccountChanged

    name: str
    plan: str
    status: str = "active"
