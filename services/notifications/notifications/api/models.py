"""What clients say and are told of notification settings, field by field."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, RootModel, StringConstraints
from pydantic_core import PydanticCustomError

from hoop_events.base import Moment
from hoop_platform.http.parse import Body, OneLine, Query
from hoop_platform.http.route import ResponseModel
from hoop_platform.ids import is_id
from notifications.domain import PLACEHOLDERS, one_address, unknown_placeholders

ADMIN = "sub_account_admin"
KEPT = "Kept and answered; it decides nothing."


def _address(value: str) -> str:
    if one_address(value) is None:
        raise PydanticCustomError("mail_address", "must be one plain mail address")
    return value


def _address_or_none(value: str) -> str:
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


def _user(value: str) -> str:
    if value != ADMIN and not is_id(value):
        raise PydanticCustomError("unknown_user", "is no user of the account")
    return value


PHONE = r"\+?[0-9][0-9 ().-]{2,31}"
Phone = Annotated[str, StringConstraints(pattern=rf"^{PHONE}$")]
PhoneOrNone = Annotated[str, StringConstraints(pattern=rf"^({PHONE})?$")]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_address)]
User = Annotated[str, StringConstraints(max_length=40), AfterValidator(_user)]
Subject = Annotated[OneLine, AfterValidator(_template)]
Words = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_template)]
Phones = Annotated[list[Phone], Field(max_length=20)]

ReceiverType = Literal["contact", "guest", "assignedUser", "emails", "phoneNumbers", "business"]
Channel = Literal["email", "inApp", "sms", "whatsapp"]
NotificationType = Literal[
    "booked", "confirmation", "cancellation", "reminder", "followup", "reschedule"
]


class Offset(Body):
    """A length of time before or after an appointment."""

    time_offset: Annotated[int | float, Field(gt=0, le=10_000, allow_inf_nan=False)]
    unit: Literal["mins", "hours", "days", "weeks", "months"]


Offsets = Annotated[list[Offset], Field(max_length=10)]


class Details(Body):
    """What a setting says beside whom, how and when it is about."""

    template_id: Annotated[OneLine, Field(description=KEPT)] = ""
    subject: Annotated[
        Subject,
        Field(description=f"Instead of our own. Placeholders: {', '.join(PLACEHOLDERS)}."),
    ] = ""
    body: Annotated[
        Words,
        Field(
            description="Plain text instead of our greeting and news, with the same placeholders; "
            "markup is shown as it is typed. When and where stand below in any case."
        ),
    ] = ""
    before_time: Annotated[Offsets, Field(description=f"Of a `reminder`. {KEPT}")] = []
    after_time: Annotated[Offsets, Field(description=f"Of a `followup`. {KEPT}")] = []
    additional_email_ids: Annotated[
        list[Email],
        Field(max_length=20, description="Each gets a mail of its own; of channel `email` only."),
    ] = []
    additional_phone_numbers: Annotated[Phones, Field(description=KEPT)] = []
    additional_whatsapp_numbers: Annotated[Phones, Field(description=KEPT)] = []
    selected_users: Annotated[
        list[User],
        Field(
            max_length=50,
            description="Users who get a mail of their own; of channel `email` only. "
            f"`{ADMIN}` is kept, and decides nothing.",
        ),
    ] = []
    from_address: Annotated[
        str,
        StringConstraints(max_length=254),
        AfterValidator(_address_or_none),
        Field(description=f"{KEPT} Mail comes from our own address, which mail servers trust."),
    ] = ""
    from_name: Annotated[OneLine, Field(description="The name that mail comes from.")] = ""
    from_number: Annotated[PhoneOrNone, Field(description=KEPT)] = ""


RECEIVER_TYPE = Field(
    description="`contact` and `assignedUser` are told by mail without any setting. `emails` is for "
    "`additionalEmailIds` alone. The others are kept, and decide nothing."
)
CHANNEL = Field(description="`email` decides; the others are kept.")
NOTIFICATION_TYPE = Field(
    description="`confirmation` is about a confirmed appointment, `booked` about one that waits for "
    "it; where only one of them is set, it speaks for both. `reminder` and `followup` are kept."
)


class CreateNotification(Details):
    """A setting. Where there is none for a receiver and a type, mail goes in our own words."""

    receiver_type: Annotated[ReceiverType, RECEIVER_TYPE]
    channel: Annotated[Channel, CHANNEL]
    notification_type: Annotated[NotificationType, NOTIFICATION_TYPE]
    is_active: Annotated[bool, Field(description="false switches this mail off.")] = True


class CreateNotifications(RootModel[Annotated[list[CreateNotification], Field(max_length=50)]]):
    """Several settings of one calendar: all of them are made, or none."""

    model_config = ConfigDict(strict=True, frozen=True)


class UpdateNotification(Details):
    """What is not sent stays as it is."""

    receiver_type: Annotated[ReceiverType, RECEIVER_TYPE] = "contact"
    channel: Annotated[Channel, CHANNEL] = "email"
    notification_type: Annotated[NotificationType, NOTIFICATION_TYPE] = "booked"
    is_active: bool = True
    deleted: Annotated[bool, Field(description="true switches this mail off, as DELETE does.")] = (
        False
    )


class ListQuery(Query):
    is_active: bool | None = None
    deleted: Annotated[bool, Field(description="Those deleted, instead of those that are not.")] = (
        False
    )
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class ShownOffset(ResponseModel):
    time_offset: float
    unit: str


class Notification(ResponseModel):
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
    before_time: list[ShownOffset]
    after_time: list[ShownOffset]
    additional_email_ids: list[str]
    additional_phone_numbers: list[str]
    additional_whatsapp_numbers: list[str]
    selected_users: list[str]
    version: int
    date_added: Moment
    date_updated: Moment


class Said(ResponseModel):
    message: str
