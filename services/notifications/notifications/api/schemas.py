"""The bodies, queries and responses of notification settings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, RootModel, StringConstraints
from pydantic_core import PydanticCustomError

from hoop_events.base import Moment
from hoop_platform.http.parse import Body, OneLine, Query
from hoop_platform.http.route import ResponseModel
from hoop_platform.ids import is_id
from hoop_platform.mail_addresses import mail_address
from hoop_platform.phone_numbers import phone_number
from notifications.domain.text import PLACEHOLDERS, unknown_placeholders

ADMIN = "sub_account_admin"
STORED_ONLY = "Stored and returned; it decides nothing."


def _address(value: str) -> str:
    if (address := mail_address(value)) is None:
        raise PydanticCustomError("mail_address", "must be one plain mail address")
    return address


def _phone(value: str) -> str:
    if (number := phone_number(value)) is None:
        raise PydanticCustomError(
            "phone_number", "must be an international phone number, such as +49 30 123456"
        )
    return number


def _optional_phone(value: str) -> str:
    return value and _phone(value)


def _optional_address(value: str) -> str:
    return value and _address(value)


def _template(value: str) -> str:
    unknown = unknown_placeholders(value)
    if unknown:
        raise PydanticCustomError(
            "unknown_placeholder",
            "holds a placeholder that does not exist; there are {names}",
            {"names": ", ".join(PLACEHOLDERS), "expected": ", ".join(map(repr, PLACEHOLDERS))},
        )
    return value


def _user_id(value: str) -> str:
    if value != ADMIN and not is_id(value):
        raise PydanticCustomError("unknown_user", "is no user of the account")
    return value


Phone = Annotated[str, StringConstraints(max_length=40), AfterValidator(_phone)]
OptionalPhone = Annotated[str, StringConstraints(max_length=40), AfterValidator(_optional_phone)]
EmailAddress = Annotated[str, StringConstraints(max_length=254), AfterValidator(_address)]
UserId = Annotated[str, StringConstraints(max_length=40), AfterValidator(_user_id)]
Subject = Annotated[OneLine, AfterValidator(_template)]
MessageText = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_template)]
Phones = Annotated[list[Phone], Field(max_length=20)]

ReceiverType = Literal["contact", "guest", "assignedUser", "emails", "phoneNumbers", "business"]
Channel = Literal["email", "inApp", "sms", "whatsapp"]
NotificationType = Literal[
    "booked", "confirmation", "cancellation", "reminder", "followup", "reschedule"
]


class TimeOffset(Body):
    """A length of time before or after an appointment."""

    time_offset: Annotated[int | float, Field(gt=0, le=10_000, allow_inf_nan=False)]
    unit: Literal["mins", "hours", "days", "weeks", "months"]


TimeOffsets = Annotated[list[TimeOffset], Field(max_length=10)]


class SettingDetails(Body):
    """The fields of a setting beside receiver, channel and type."""

    template_id: Annotated[OneLine, Field(description=STORED_ONLY)] = ""
    subject: Annotated[
        Subject,
        Field(
            description=f"Replaces the default subject. Placeholders: {', '.join(PLACEHOLDERS)}."
        ),
    ] = ""
    body: Annotated[
        MessageText,
        Field(
            description="Plain text that replaces greeting and first sentence, with the same "
            "placeholders; markup is shown as it is typed. Time and location follow in any case."
        ),
    ] = ""
    before_time: Annotated[TimeOffsets, Field(description=f"Of a `reminder`. {STORED_ONLY}")] = []
    after_time: Annotated[TimeOffsets, Field(description=f"Of a `followup`. {STORED_ONLY}")] = []
    additional_email_ids: Annotated[
        list[EmailAddress],
        Field(max_length=20, description="Each gets mails of its own; of channel `email` only."),
    ] = []
    additional_phone_numbers: Annotated[Phones, Field(description=STORED_ONLY)] = []
    additional_whatsapp_numbers: Annotated[Phones, Field(description=STORED_ONLY)] = []
    selected_users: Annotated[
        list[UserId],
        Field(
            max_length=50,
            description="Users who get mails of their own; of channel `email` only. "
            f"`{ADMIN}` is stored, and decides nothing.",
        ),
    ] = []
    from_address: Annotated[
        str,
        StringConstraints(max_length=254),
        AfterValidator(_optional_address),
        Field(
            description=f"{STORED_ONLY} Mail comes from the address of this installation, which mail servers trust."
        ),
    ] = ""
    from_name: Annotated[OneLine, Field(description="The display name of the sender.")] = ""
    from_number: Annotated[OptionalPhone, Field(description=STORED_ONLY)] = ""


RECEIVER_TYPE = Field(
    description="`contact` and `assignedUser`, every host, get mails without any setting. `emails` is for "
    "`additionalEmailIds` alone. The others are stored, and decide nothing."
)
CHANNEL = Field(description="`email` decides; the others are stored.")
NOTIFICATION_TYPE = Field(
    description="`confirmation` is about a confirmed appointment, `booked` about one that waits for "
    "confirmation; if only one of them is set, it applies to both. `reschedule` is about every change "
    "of time, host, place, title or description, `cancellation` about the end, a declined request "
    "included. `reminder` and `followup` are stored."
)


class CreateNotification(SettingDetails):
    """A setting. Without one for a receiver and a type, mail goes with the default texts."""

    receiver_type: Annotated[ReceiverType, RECEIVER_TYPE]
    channel: Annotated[Channel, CHANNEL]
    notification_type: Annotated[NotificationType, NOTIFICATION_TYPE]
    is_active: Annotated[bool, Field(description="false switches this mail off.")] = True


class CreateNotifications(RootModel[Annotated[list[CreateNotification], Field(max_length=50)]]):
    """Several settings of one calendar: all of them are created, or none."""

    model_config = ConfigDict(strict=True, frozen=True)


class UpdateNotification(SettingDetails):
    """A field that is not sent stays as it is."""

    receiver_type: Annotated[ReceiverType, RECEIVER_TYPE] = "contact"
    channel: Annotated[Channel, CHANNEL] = "email"
    notification_type: Annotated[NotificationType, NOTIFICATION_TYPE] = "booked"
    is_active: bool = True
    deleted: Annotated[bool, Field(description="true switches this mail off, as DELETE does.")] = (
        False
    )


class NotificationListQuery(Query):
    is_active: bool | None = None
    deleted: Annotated[bool, Field(description="The deleted settings, instead of the others.")] = (
        False
    )
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class TimeOffsetResponse(ResponseModel):
    time_offset: float
    unit: str


class NotificationResponse(ResponseModel):
    """A setting, under both names of its id."""

    id_: Annotated[str, Field(alias="_id")]
    id: str
    calendar_id: str
    receiver_type: ReceiverType
    channel: Channel
    notification_type: NotificationType
    is_active: bool
    deleted: bool
    template_id: str
    subject: str
    body: str
    before_time: list[TimeOffsetResponse]
    after_time: list[TimeOffsetResponse]
    additional_email_ids: list[str]
    additional_phone_numbers: list[str]
    additional_whatsapp_numbers: list[str]
    selected_users: list[str]
    version: int
    date_added: Moment
    date_updated: Moment


class NotificationMessage(ResponseModel):
    message: str
