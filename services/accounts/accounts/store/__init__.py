"""Remembers accounts and what belongs to them, in plain SQL; each question names the account."""

from accounts.store.places import known_locations, location_in_use
from accounts.store.shelf import Shelf
from accounts.store.tables import ACCOUNTS, CONTACTS, KEYS, LOCATIONS, USERS
