"""Bodies, queries and responses of the routes of connections."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_platform.http.parse import Body, Query
from hoop_platform.providers.provider_accounts import OwnerKind, Status


class Connect(Body):
    """Subclasses add the owner; their other fields become the connection's settings."""

    return_to: str | None = None
    """Where the browser goes afterwards, on the origin of the public URL."""


class ConnectUser(Connect):
    user_id: Id


class ConnectCalendar(Connect):
    calendar_id: Id
    user_id: Id | None = None


class UpdateConnection(Body):
    """Subclasses add the provider's settings; absent fields stay unchanged."""

    waiting_for_admin: bool | None = None
    """Set by the user when the provider showed "Request access", which it does not report itself."""


class CallbackQuery(Query):
    """Lists, so that a repeated parameter is refused."""

    state: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    iss: tuple[str, ...] = ()


class ConnectionModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class ConnectReply(ConnectionModel):
    authorize_url: str
    connection_id: Id


class ConnectionBody(ConnectionModel):
    id: Id
    provider: str
    owner_kind: OwnerKind
    owner_id: Id
    status: Status
    reason: str | None
    label: str | None
    settings: dict[str, Any]
    connected_at: Moment | None
    last_sync_at: Moment | None


class ConnectionReply(ConnectionModel):
    connection: ConnectionBody
