"""What the routes of connections take and answer."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_platform.http.parse import Body, Query
from hoop_platform.providers.provider_accounts import OwnerKind, Status


class Connect(Body):
    """Subclasses name the owner; whatever else they ask becomes the connection's settings."""

    return_to: str | None = None
    """Where to send the browser afterwards, on the public URL's own origin."""


class ConnectUser(Connect):
    user_id: Id


class ConnectCalendar(Connect):
    calendar_id: Id
    user_id: Id | None = None


class UpdateConnection(Body):
    """Subclasses add the provider's own settings; what is not sent stays as it is."""

    waiting_for_admin: bool | None = None
    """The provider showed "Request access": it never calls back to say so, hence the user does."""


class CallbackQuery(Query):
    """Lists, so that a parameter given twice is seen and refused."""

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
