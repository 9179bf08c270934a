"""The observed state: what exists, or may exist, at a provider for one desired state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from hoop_platform.ids import from_uuid
from hoop_platform.providers.credentials import StoredCredential

ObjectState = Literal["intended", "live", "to_delete", "gone", "abandoned"]
"""intended: a call to create it was begun, its outcome is unknown · to_delete: it may exist and must
not · abandoned: its connection was ended, it is never called again."""

SETTLE_TIME = timedelta(seconds=30)
"""After this a call without a response has had its effect or never will: three times the timeout."""


@dataclass(frozen=True)
class ExternalObject:
    """An object that exists, or may exist, at the provider. `age`: since its intent or latest change."""

    generation: int
    state: ObjectState
    connection_id: str | None = None
    external_id: str | None = None
    content: Mapping[str, Any] | None = None
    """What the object says at the provider; None: unknown."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter needs to know of it: an etag, a link."""
    looked_up: bool = False
    """A search after the intent did not find it (yet)."""
    age: timedelta = timedelta()

    @property
    def may_exist(self) -> bool:
        return self.state in ("intended", "live", "to_delete")

    @property
    def settled(self) -> bool:
        """Whether a call without a response has had its effect by now, if it ever will."""
        return self.age >= SETTLE_TIME


@dataclass(frozen=True)
class ObservedAccount:
    """The provider account that calls go through: active, or waiting for its owner or an administrator."""

    connection_id: str
    active: bool
    reason: str | None
    external_id: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ObservedState:
    """The provider account, its credential, and all objects ever created for the subject, oldest first."""

    account: ObservedAccount | None
    objects: Sequence[ExternalObject]
    credential: StoredCredential | None = field(default=None, repr=False)

    @classmethod
    def of_context(cls, account_id: str, context: Mapping[str, Any]) -> Self:
        """From the document of the SQL function `attempt_context`."""
        return cls(
            account=_account(context["account"]),
            objects=[_object(stored) for stored in context["objects"]],
            credential=_credential(account_id, context["credential"]),
        )

    @property
    def connected(self) -> bool:
        return self.account is not None and self.account.active

    @property
    def ours(self) -> list[ExternalObject]:
        """The objects created through the present connection; those of earlier ones are history."""
        connection_id = self.account.connection_id if self.account else None
        return [found for found in self.objects if found.connection_id == connection_id]

    @property
    def live(self) -> ExternalObject | None:
        """The one object that the subject should have; any other one is to be deleted."""
        return next((found for found in self.ours if found.state == "live"), None)

    @property
    def next_generation(self) -> int:
        return 1 + max((found.generation for found in self.objects), default=0)

    def with_objects(self, *changed: ExternalObject) -> Self:
        """The state with these objects added, or in exchange for those of the same generation."""
        by_generation = {each.generation: each for each in (*self.objects, *changed)}
        return replace(self, objects=[by_generation[key] for key in sorted(by_generation)])


def _account(stored: Mapping[str, Any] | None) -> ObservedAccount | None:
    if stored is None:
        return None
    return ObservedAccount(
        connection_id=_id(stored["connection_id"]),
        active=stored["status"] == "active",
        reason=stored["reason"],
        external_id=stored["external_id"],
        settings=stored["settings"],
    )


def _object(stored: Mapping[str, Any]) -> ExternalObject:
    connection_id = stored["connection_id"]
    return ExternalObject(
        generation=stored["generation"],
        state=stored["state"],
        connection_id=_id(connection_id) if connection_id else None,
        external_id=stored["external_id"],
        content=stored["content"],
        data=stored["data"],
        looked_up=stored["looked_up"],
        age=timedelta(seconds=stored["age"]),
    )


def _credential(account_id: str, stored: Mapping[str, Any] | None) -> StoredCredential | None:
    if stored is None:
        return None
    return StoredCredential(
        account_id=account_id,
        id=_id(stored["id"]),
        provider=stored["provider"],
        provider_user=stored["provider_user"],
        generation=stored["generation"],
        sealed=bytes.fromhex(stored["sealed"]),
        fresh_until=datetime.fromisoformat(stored["fresh_until"]),
        leased=stored["leased"],
        resting=stored["resting"],
    )


def _id(text: str) -> str:
    return from_uuid(UUID(text))
