"""Accounts at providers, connected by their owners: the OAuth flow, sealed tokens, their refresh."""

from shared.connections.bodies import Connect, ConnectCalendar, ConnectUser, Reconfigure
from shared.connections.flow import (
    Authorization,
    Callback,
    Finished,
    Identify,
    Identity,
    Then,
    begin,
    finish,
)
from shared.connections.provider import OAuthProvider, ProviderDown, revoke
from shared.connections.rotation import reseal
from shared.connections.routes import Integration
from shared.connections.states import disconnect, mark, synced
from shared.connections.store import (
    Connection,
    OwnerKind,
    Status,
    connections_at,
    find,
    list_connections,
)
from shared.connections.tokens import NotConnected, access_token, refresh_idle

__all__ = [
    "Authorization",
    "Callback",
    "Connect",
    "ConnectCalendar",
    "ConnectUser",
    "Connection",
    "Finished",
    "Identify",
    "Identity",
    "Integration",
    "NotConnected",
    "OAuthProvider",
    "OwnerKind",
    "ProviderDown",
    "Reconfigure",
    "Status",
    "Then",
    "access_token",
    "begin",
    "connections_at",
    "disconnect",
    "find",
    "finish",
    "list_connections",
    "mark",
    "refresh_idle",
    "reseal",
    "revoke",
    "synced",
]
