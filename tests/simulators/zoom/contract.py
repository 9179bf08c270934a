"""The fields of a meeting that Zoom accepts; unknown fields and wrong types are refused.

The fields are those of the types in Zoom's own client (`@zoom/rivet`, meetings). Zoom itself ignores
some unknown fields; a stricter check finds our spelling mistakes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from simulators.json_schema import Problem, Schema, problems, zone_names

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
OPEN: Schema = {"type": "object", "additionalProperties": True}
START = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?"


def _one_of(*values: str | int) -> Schema:
    return {"type": "integer" if isinstance(values[0], int) else "string", "enum": values}


def _all(names: str, schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


SETTINGS: Schema = {
    "type": "object",
    "properties": {
        **_all(
            "allow_host_control_participant_mute_state allow_multiple_devices"
            " alternative_host_manage_cloud_recording alternative_host_manage_meeting_summary"
            " alternative_host_update_polls alternative_hosts_email_notification"
            " auto_start_ai_companion_questions auto_start_meeting_summary close_registration"
            " cn_meeting device_testing disable_participant_video email_in_attendee_report"
            " email_notification focus_mode host_save_video_order host_video in_meeting"
            " internal_meeting join_before_host meeting_authentication mute_upon_entry"
            " participant_focused_meeting participant_video private_meeting"
            " push_change_to_calendar registrants_confirmation_email"
            " registrants_email_notification show_share_button use_pmi waiting_room watermark",
            FLAG,
        ),
        **_all(
            "alternative_hosts audio_conference_info authentication_domains authentication_option"
            " contact_email contact_name summary_template_id",
            TEXT,
        ),
        **_all(
            "approved_or_denied_countries_or_regions auto_add_recording_to_video_management"
            " breakout_room continuous_meeting_chat language_interpretation question_and_answer"
            " sign_language_interpretation waiting_room_options",
            OPEN,
        ),
        **_all(
            "additional_data_center_regions global_dial_in_countries",
            {"type": "array", "items": TEXT},
        ),
        **_all(
            "authentication_exception meeting_invitees resources", {"type": "array", "items": OPEN}
        ),
        "approval_type": _one_of(0, 1, 2),
        "audio": _one_of("both", "telephony", "voip", "thirdParty"),
        "auto_recording": _one_of("local", "cloud", "none"),
        "calendar_type": _one_of(1, 2),
        "encryption_type": _one_of("enhanced_encryption", "e2ee"),
        "jbh_time": _one_of(0, 5, 10, 15),
        "registration_type": _one_of(1, 2, 3),
        "who_can_ask_questions": _one_of(1, 2, 3, 4, 5),
        "who_will_receive_summary": _one_of(1, 2, 3, 4),
    },
}
MEETING: Schema = {
    "type": "object",
    "properties": {
        **_all("schedule_for template_id", TEXT),
        **_all("default_password pre_schedule", FLAG),
        "topic": {"type": "string", "maxLength": 200},
        "agenda": {"type": "string", "maxLength": 2000},
        "type": _one_of(1, 2),  # recurring ones (3, 8) are not simulated: we create none
        "start_time": {"type": "string", "pattern": START},
        "timezone": TEXT,
        "duration": {"type": "integer", "minimum": 1, "maximum": 1440},
        "password": {"type": "string", "maxLength": 10, "pattern": r"[A-Za-z0-9@\-_*]*"},
        "settings": SETTINGS,
        "tracking_fields": {"type": "array", "items": OPEN},
    },
}
DEFAULT_SETTINGS: dict[str, Any] = {
    "host_video": False,
    "participant_video": False,
    "join_before_host": False,
    "jbh_time": 0,
    "mute_upon_entry": False,
    "waiting_room": True,
    "approval_type": 2,
    "audio": "both",
    "auto_recording": "none",
    "use_pmi": False,
    "meeting_authentication": False,
}


def meeting_problems(body: Any) -> Iterator[Problem]:
    """The problems for which Zoom would refuse the body of a create or an update."""
    found = list(problems(body, MEETING, {}))
    yield from found
    if found:
        return
    if body.get("timezone", "UTC") not in zone_names():
        yield Problem("timezone", "is not an IANA time zone")
    if "start_time" in body and not _is_instant(body["start_time"]):
        yield Problem("start_time", "is not a date and time")


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def in_utc(start_time: str, zone: tzinfo) -> str:
    """A `start_time` as Zoom returns it, in UTC with `Z`; without `Z` it is a time in the zone."""
    start = datetime.fromisoformat(start_time)
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    return start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
