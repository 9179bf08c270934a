"""Which message each receiver gets, once: the table in the README row by row, and random histories."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoop_events.booking import Appointment, Meeting
from hoop_platform.ids import new_id
from hoop_platform.mail_addresses import is_ascii_address
from hoop_platform.providers.errors import CallPostponed, RequestRejected
from hoop_platform.reconcile.intents import intended_object, refused_object, repeated_object
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.plan import UNCERTAIN_WAIT, Create, GiveUp, InSync, WaitFor
from notifications.domain.conversation import Conversation, ConversationThread
from notifications.domain.history import assume_delivered, with_history
from notifications.domain.message import (
    MessageContent,
    NotificationContext,
    Receiver,
    is_confirmed,
)
from notifications.domain.notification_rules import NotificationRules
from notifications.domain.plan import CONTENT, TOO_LATE, MailFacts, ThreadFacts, plan
from notifications.domain.threads import Thread, apply_event, pending_notice, receivers

HOUR = timedelta(hours=1)
LONG = timedelta(days=1)


@dataclass(frozen=True)
class Mail:
    """A transmission of a message."""

    number: int
    occasion: str
    content: MessageContent


@dataclass
class World:
    """Appointments and their threads: events come, also twice and late; mails are delivered, or not."""

    appointment: object
    states: dict[str, Appointment] = field(default_factory=dict)
    stored: dict[str, dict[str, tuple[Thread, int, str | None]]] = field(default_factory=dict)
    """As in the table, by receiver and appointment: each thread without messages, the number counted,
    the pending occasion."""
    objects: dict[str, ObservedState] = field(default_factory=dict)
    reached: list[tuple[str, Mail]] = field(default_factory=list)
    """What was or may have been delivered: receiver and message, in order."""
    lost: set[str] = field(default_factory=set)
    """Receivers of a mail that got lost although it might have been delivered."""
    never_informed: set[str] = field(default_factory=set)
    """Receivers of a mail that got lost twice: it counts as delivered, and none is left to say so."""
    address: str = "ada@example.com"

    @property
    def state(self):
        return self.states.get(self.appointment.state.id)

    def handle(self, event):
        """As the handler does it, behind the inbox that passes only newer events on."""
        id_ = event.state.id
        before = self.states.get(id_)
        if before and event.sequence <= before.sequence:
            return
        self.states[id_] = event.state
        for who, role in receivers(event.state).items():
            self.stored.setdefault(who, {}).setdefault(id_, (Thread(id_, role, who), 0, None))
            self.objects.setdefault(who, ObservedState(None, []))
        for who, threads in self.stored.items():
            if id_ in threads:
                thread = apply_event(self.thread(who, id_), before, event)
                pending = pending_notice(assume_delivered(thread), event.state)
                occasion = pending.name if pending else None
                threads[id_] = (replace(thread, messages=()), thread.counted, occasion)

    def thread(self, who, appointment_id=None):
        """The thread with its messages."""
        base, counted, _ = self.stored[who][appointment_id or self.appointment.state.id]
        return with_history(base, self.objects[who].objects, counted=counted)

    def statuses(self, who):
        [any_thread, *_] = self.stored[who]
        return [message.status for message in self.thread(who, any_thread).messages]

    def decide(self, who, *, pending_for=LONG, at=None, **known):
        """The next step towards a receiver."""
        threads = [
            ThreadFacts(self.states[id_], base, counted, pending, pending_for)
            for id_, (base, counted, pending) in self.stored[who].items()
        ]
        facts = MailFacts(
            threads=sorted(threads, key=lambda each: each.state.start_time),
            receiver=known.get("receiver", Receiver(who, "Ada", self.address)),
            context=known.get("context", NotificationContext("Talks", "Main Street")),
            link_wait=timedelta(minutes=2),
            series_wait=timedelta(seconds=5),
            rules=known.get("rules", NotificationRules()),
        )
        return plan(facts, self.objects[who], now=at or facts.threads[0].state.start_time - HOUR)

    def mail(self, who, outcome="sent", **how):
        """Take the next step, with this outcome if it is a mail; returns the mail, or the step."""
        step = self.decide(who, **how)
        if isinstance(step, GiveUp):
            self._give_up(who, step.external)
            return self.mail(who, outcome, **how) if step.followed else step
        return self._transmit(who, step, outcome) if isinstance(step, Create) else step

    def _transmit(self, who, step, outcome):
        """As the platform and the adapter do it."""
        known = {each.generation: each for each in self.objects[who].objects}
        lost = known.get(step.generation)
        lost = lost if lost and lost.state == "intended" else None
        intent = ExternalObject(step.generation, "intended")
        intended = (
            repeated_object(lost) if lost else intended_object(intent, step, self.objects[who])
        )
        if "switched_off" in intended.data:
            data = {**intended.data, "sent": True}
            self._change(who, replace(intended, state="gone", content=None, data=data))
            return step
        if refusal := self._refusal(intended, outcome):
            self._change(who, refused_object(intended, refusal, lost=lost))
            if outcome in ("deferred", "rejected") and intended.content:
                return Mail(*self._said(intended))
            return refusal
        mail = Mail(*self._said(intended))
        if outcome in ("sent", "in doubt", "given up in doubt"):
            self.reached.append((who, mail))
        self._change(who, replace(intended, age=UNCERTAIN_WAIT))
        if outcome == "lost in doubt":
            self.lost.add(who)
        if outcome == "sent":
            data = {**intended.data, "sent": True}
            self._change(who, replace(intended, state="gone", content=None, data=data))
        if outcome == "given up in doubt":
            self._give_up(who, intended)
        return mail

    def _refusal(self, intended, outcome):
        if intended.content is None:
            return RequestRejected(TOO_LATE)
        if not is_ascii_address(intended.content["address"]):
            return RequestRejected("no_usable_address")
        refusals = {"deferred": CallPostponed("smtp_451"), "rejected": RequestRejected("smtp_550")}
        return refusals.get(outcome)

    def _said(self, intended):
        content = CONTENT.validate_python(intended.content)
        return intended.generation, intended.data["occasion"], content

    def _give_up(self, who, external):
        reached = {mail.number for to, mail in self.reached if to == who}
        if external.looked_up and external.generation not in reached:
            self.never_informed.add(who)
        data = {**external.data, "uncertain": "in_doubt"}
        self._change(who, replace(external, state="gone", content=None, data=data))

    def _change(self, who, external):
        self.objects[who] = self.objects[who].with_objects(external)

    def drain(self, **how):
        """Send every pending message to every receiver."""
        for who in self.stored:
            for _ in range(5):
                if isinstance(self.mail(who, **how), InSync):
                    break
            else:
                raise AssertionError("a message is pending after five attempts")

    def occasions(self, who):
        return [mail.occasion for to, mail in self.reached if to == who]

    def kinds(self, who):
        return [mail.content.kind for to, mail in self.reached if to == who]


OUTCOMES = ("sent", "deferred", "rejected", "given up in doubt", "in doubt", "lost in doubt")
READY = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
OTHER = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/2")
PENDING = Meeting(provider="zoom", state="pending")


@pytest.fixture
def appointment(new_appointment):
    return new_appointment()


@pytest.fixture
def world(appointment):
    return World(appointment)


def test_one_message_per_occasion_and_receiver(appointment, world):
    """Contact and host, each occasion once, also when every event comes twice."""
    for event in (
        appointment.booked(),
        appointment.moved(appointment.state.start_time + HOUR),
        appointment.cancelled(),
    ):
        world.handle(event)
        world.handle(event)
        world.drain()
        world.drain()

    for who in (appointment.contact_id, appointment.host):
        assert world.kinds(who) == ["booked", "rescheduled", "cancelled"]
        first, second, third = world.occasions(who)
        assert first.startswith("booked:")
        assert second == "rescheduled:2"
        assert third == f"cancelled:{appointment.state.session}"


def test_moved_twice_and_back(appointment, world):
    """A change in between that was not notified never is; back at the old time only the link is new."""
    start = appointment.state.start_time
    world.handle(appointment.booked(READY))
    world.drain()
    world.handle(appointment.moved(start + HOUR, READY))
    world.handle(appointment.moved(start, OTHER))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "link"]
    session = appointment.state.session
    assert world.occasions(appointment.contact_id)[-1] == f"link:{session}:1"
    world.handle(appointment.cancelled())
    world.drain()
    assert world.occasions(appointment.contact_id)[-1] == f"cancelled:{session}"


def test_a_rescheduled_message_shows_the_time_last_notified(appointment, world):
    start = appointment.state.start_time
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.moved(start + HOUR))
    world.handle(appointment.moved(start + 2 * HOUR))
    world.drain()

    content = world.reached[-1][1].content
    assert (content.previous_time.start, content.time.start) == (start, start + 2 * HOUR)


def test_confirmed_again_in_the_same_session(appointment, world):
    """A contact leaves a class and returns to the same session: the occasion is numbered."""
    world.handle(appointment.booked())
    session = appointment.state.session
    world.drain()
    for _ in range(2):
        world.handle(appointment.cancelled())
        world.drain()
        world.handle(appointment.booked(session=session))
        world.drain()

    assert world.occasions(appointment.contact_id) == [
        f"booked:{session}",
        f"cancelled:{session}",
        f"booked:{session}:2",
        f"cancelled:{session}:2",
        f"booked:{session}:3",
    ]


def test_cancelled_and_confirmed_before_any_message(appointment, world):
    world.handle(appointment.booked())
    world.handle(appointment.cancelled())
    world.handle(appointment.booked())
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"]


def test_a_silent_booking_sends_nothing(appointment, world):
    """No confirmation and no link; a later change with a notification sends a message."""
    start = appointment.state.start_time
    world.handle(appointment.booked(PENDING, notify=False))
    world.handle(appointment.updated(meeting=READY))
    world.drain()
    assert world.reached == []

    world.handle(appointment.moved(start + HOUR))
    world.drain()
    assert world.kinds(appointment.contact_id) == ["rescheduled"]


def test_a_silent_booking_is_cancelled_in_silence(appointment, world):
    world.handle(appointment.booked(notify=False))
    world.handle(appointment.cancelled())
    world.drain()
    assert world.reached == []

    world.handle(appointment.booked())
    world.drain()
    assert world.kinds(appointment.contact_id) == ["booked"]


def test_a_silent_change_is_part_of_the_pending_message(appointment, world):
    """The time changes silently while the confirmation is pending: the message has the new time."""
    start = appointment.state.start_time
    world.handle(appointment.booked())
    world.handle(appointment.moved(start + HOUR, notify=False))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"]
    assert world.reached[0][1].content.time.start == start + HOUR


def test_a_silent_deletion_drops_the_pending_message(appointment, world):
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.moved(appointment.state.start_time + HOUR))
    world.handle(appointment.cancelled(notify=False))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"]


def test_a_silent_change_with_a_mail_in_flight_is_notified(appointment, world):
    """It is unknown what the receiver has got: a message too many is better than a wrong one."""
    start = appointment.state.start_time
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.moved(start + HOUR, notify=False))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "rescheduled"]


def test_another_host(appointment, world):
    """The former host gets a cancellation, of the time last notified; the new host a confirmation."""
    former, new_host = appointment.host, new_id()
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.handed_to(new_host))
    world.drain()

    assert world.kinds(former) == ["booked", "cancelled"]
    assert world.reached[-1][1].content.has_new_host is False
    assert [mail.content.has_new_host for to, mail in world.reached if to == former] == [
        False,
        True,
    ]
    assert world.occasions(new_host) == ["rescheduled:2"]
    assert world.kinds(new_host) == ["booked"]
    assert world.kinds(appointment.contact_id) == ["booked", "rescheduled"]


def test_a_host_who_was_deleted(appointment, world):
    """That another is needed is told to nobody; who replaces the host is, and the deleted one is not."""
    former, new_host = appointment.host, new_id()
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.updated(needs_host=True))
    world.drain()
    assert world.kinds(appointment.contact_id) == world.kinds(former) == ["booked"]

    world.handle(appointment.handed_to(new_host))
    assert isinstance(world.mail(former, receiver=Receiver(former, erased=True)), InSync)
    world.mail(new_host)
    world.mail(appointment.contact_id)
    assert world.kinds(new_host) == ["booked"]
    assert world.kinds(appointment.contact_id) == ["booked", "rescheduled"]


def test_no_link_after_a_confirmation_that_failed(appointment, world):
    world.handle(appointment.booked(PENDING))
    world.mail(appointment.contact_id, "rejected")
    world.handle(appointment.updated(meeting=READY))
    world.handle(appointment.cancelled())

    assert world.decide(appointment.contact_id) == InSync()


def test_in_doubt_and_still_true(appointment, world):
    """The same message again, unchanged; then none is pending."""
    world.handle(appointment.booked())
    first = world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.described(notes="Allergic to nuts"))
    second = world.mail(appointment.contact_id)

    assert first == second
    assert world.decide(appointment.contact_id) == InSync()


def test_in_doubt_and_false_by_now(appointment, world):
    """Not again: a cancellation goes, since the receiver may expect the appointment."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.cancelled())
    mail = world.mail(appointment.contact_id)

    assert mail.content.kind == "cancelled"
    assert world.statuses(appointment.contact_id) == ["doubtful", "sent"]


@pytest.mark.parametrize("outcome", ["deferred", "rejected"])
def test_in_doubt_and_then_not_accepted(appointment, world, outcome):
    """The first transmission may have been delivered all the same: the cancellation goes."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    world.mail(appointment.contact_id, outcome)
    world.handle(appointment.cancelled())

    assert world.mail(appointment.contact_id).content.kind == "cancelled"


def test_given_up_in_doubt(appointment, world):
    """The message counts as delivered, so that a cancellation follows."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "given up in doubt")
    assert world.decide(appointment.contact_id) == InSync()

    world.handle(appointment.cancelled())
    assert world.mail(appointment.contact_id).content.kind == "cancelled"


def test_in_doubt_until_the_appointment_is_over(appointment, world):
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")

    step = world.mail(appointment.contact_id, at=appointment.state.end_time)
    assert (type(step), step.followed) == (GiveUp, False)
    assert world.decide(appointment.contact_id, at=appointment.state.end_time) == InSync()
    assert world.statuses(appointment.contact_id) == ["doubtful"]


def test_one_repeat_and_not_at_once(appointment, world):
    """A message in doubt waits before it goes again; in doubt again, it is given up."""
    world.handle(appointment.booked())
    who = appointment.contact_id
    world.mail(who, "in doubt")
    [lost] = world.objects[who].objects
    world.objects[who] = ObservedState(None, [replace(lost, age=UNCERTAIN_WAIT / 4)])
    assert world.decide(who) == WaitFor(UNCERTAIN_WAIT * 3 / 4, "in_doubt")

    world.objects[who] = ObservedState(None, [lost])
    world.mail(who, "in doubt")
    assert isinstance(world.mail(who), GiveUp)
    assert (world.statuses(who), world.decide(who)) == (["doubtful"], InSync())
    assert len(world.reached) == 2


def test_deferred_then_outdated(appointment, world):
    """A message that was certainly not delivered is dropped when another one is pending."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "deferred")
    world.handle(appointment.moved(appointment.state.start_time + HOUR))
    world.mail(appointment.contact_id)

    assert world.statuses(appointment.contact_id) == ["waiting", "sent"]
    thread = world.thread(appointment.contact_id)
    assert Conversation([ConversationThread(thread, world.state)]).waiting is None
    assert world.occasions(appointment.contact_id) == ["rescheduled:2"]


def test_deferred_and_tried_again_is_one_message(appointment, world):
    world.handle(appointment.booked())
    first = world.mail(appointment.contact_id, "deferred")
    world.handle(appointment.updated(meeting=READY))
    second = world.mail(appointment.contact_id)

    assert first.number == second.number
    assert second.content.link_status == "here"


def test_a_corrected_address(appointment, world):
    """The failed message goes again under its occasion; not to the same address, nor if outdated."""
    world.handle(appointment.booked())
    world.address = "ada"
    assert str(world.mail(appointment.contact_id)) == "no_usable_address"
    assert world.statuses(appointment.contact_id) == ["failed"]
    assert world.decide(appointment.contact_id) == InSync()

    world.address = "ada@example.com"
    assert world.mail(appointment.contact_id, "rejected").content.kind == "booked"
    assert len({m.occasion for m in world.thread(appointment.contact_id).messages}) == 1
    assert world.decide(appointment.contact_id) == InSync()
    world.handle(appointment.cancelled())
    world.address = "lovelace@example.com"
    assert world.decide(appointment.contact_id) == InSync()


def test_no_message_after_the_end(appointment, world):
    """After the appointment nothing is sent; a message that was tried before has failed."""
    world.handle(appointment.booked())
    end = appointment.state.end_time
    assert world.decide(appointment.contact_id, at=end) == InSync()

    world.mail(appointment.host, "deferred")
    assert str(world.mail(appointment.host, at=end)) == "too_late"
    assert world.statuses(appointment.host) == ["failed"]
    world.address = "other@example.com"
    assert world.decide(appointment.host) == InSync()


@pytest.mark.parametrize(
    ("meeting", "waits"),
    [
        (PENDING, True),
        (PENDING.model_copy(update={"reason": "provider_down"}), True),
        (PENDING.model_copy(update={"reason": "awaiting_confirmation"}), False),
        (READY, False),
        (Meeting(provider="zoom", state="blocked"), False),
        (Meeting(provider="zoom", state="failed"), False),
        (Meeting(), False),
    ],
)
def test_waiting_for_the_link(appointment, world, meeting, waits):
    """Only as long as the link may come."""
    world.handle(appointment.booked(meeting))
    step = world.decide(appointment.contact_id, pending_for=timedelta(seconds=90))

    assert isinstance(step, WaitFor if waits else Create)
    if waits:
        assert step.wait == timedelta(seconds=30)
        assert isinstance(
            world.decide(appointment.contact_id, pending_for=timedelta(seconds=120)), Create
        )


@pytest.mark.parametrize(("minutes", "waits"), [(1, True), (3, False)])
def test_waiting_for_an_expected_link(appointment, world, minutes, waits):
    """A link that is expected later than LINK_WAIT (the daily quota) is not waited for."""
    now = appointment.state.start_time - HOUR
    expected = PENDING.model_copy(update={"expected_at": now + timedelta(minutes=minutes)})
    world.handle(appointment.booked(expected))

    step = world.decide(appointment.contact_id, pending_for=timedelta(), at=now)
    assert isinstance(step, WaitFor if waits else Create)


def test_a_message_that_was_tried_does_not_wait_again(appointment, world):
    """Deferred while an event came that left nothing pending, as the mail in flight counted: it goes."""
    world.handle(appointment.booked(READY))
    world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.updated(meeting=PENDING))
    [lost] = world.objects[appointment.contact_id].objects
    world._change(appointment.contact_id, replace(lost, state="gone", content=None))

    assert isinstance(world.decide(appointment.contact_id, pending_for=timedelta()), Create)


def test_waiting_for_names(appointment, world):
    """For an unknown receiver without a limit, for other names up to LINK_WAIT; no mail to the erased."""
    world.handle(appointment.booked())
    who = appointment.contact_id

    assert world.decide(who, receiver=None) == WaitFor(None, "receiver not known yet")
    step = world.decide(who, context=NotificationContext("Talks", None), pending_for=timedelta())
    assert step == WaitFor(timedelta(seconds=1), "calendar or location not known yet")
    assert world.decide(who, receiver=Receiver(who, erased=True)) == InSync()
    assert world.statuses(who) == []
    assert isinstance(world.decide(who, context=NotificationContext(), pending_for=LONG), Create)


def test_an_erased_receiver_of_a_mail_in_flight(appointment, world):
    """It is not sent again, nor followed by another one."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.cancelled())
    step = world.decide(appointment.contact_id, receiver=Receiver("x", erased=True))
    assert (type(step), step.followed) == (GiveUp, False)


def test_an_event_while_a_mail_is_in_flight(appointment, world):
    """The pending notice then counts the mail as delivered."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    thread = world.thread(appointment.contact_id)

    assert pending_notice(assume_delivered(thread), appointment.state) is None
    appointment.cancelled()
    assert pending_notice(assume_delivered(thread), appointment.state).kind == "cancelled"


def test_an_appointment_without_a_user(new_appointment):
    """For a calendar that is its own host, only the contact gets messages."""
    appointment = new_appointment(host=None)
    appointment.booked()

    assert receivers(appointment.state) == {appointment.contact_id: "contact"}


def test_a_request_that_is_confirmed(appointment, world):
    """Told once, with the link that follows; an unconfirmed one is told as requested."""
    world.handle(
        appointment.requested(PENDING.model_copy(update={"reason": "awaiting_confirmation"}))
    )
    world.drain()
    world.handle(appointment.confirmed(PENDING))
    assert isinstance(world.decide(appointment.contact_id, pending_for=timedelta()), WaitFor)
    world.handle(appointment.updated(meeting=READY))
    world.drain()
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "confirmed"]
    first, second = [mail.content for to, mail in world.reached if to == appointment.host]
    assert (first.confirmed, second.confirmed, second.join_url) == (False, True, READY.join_url)
    session = appointment.state.session
    assert world.occasions(appointment.contact_id)[-1] == f"confirmed:{session}"


def test_a_request_that_is_confirmed_and_moved(appointment, world):
    """One message says both."""
    start = appointment.state.start_time
    world.handle(appointment.requested())
    world.drain()
    world.handle(appointment.moved(start + HOUR))
    world.handle(appointment.confirmed())
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "confirmed"]
    assert world.reached[-1][1].content.previous_time.start == start


@pytest.mark.parametrize("status", ["showed", "noshow", "completed"])
def test_a_request_that_nobody_confirmed_in_time(appointment, world, status):
    """Nobody is told afterwards that it was confirmed."""
    world.handle(appointment.requested())
    world.drain()
    world.handle(appointment.updated(appointment_status=status))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"]


def test_a_request_that_is_declined(appointment, world):
    """Declined, not cancelled: it was never confirmed. Confirmed and then cancelled is cancelled."""
    world.handle(appointment.requested())
    world.drain()
    world.handle(appointment.cancelled())
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "declined"]
    assert world.occasions(appointment.host)[-1] == f"declined:{appointment.state.session}"


def test_confirmed_and_cancelled_at_once(appointment, world):
    world.handle(appointment.requested())
    world.drain()
    world.handle(appointment.confirmed())
    world.handle(appointment.cancelled())
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "cancelled"]


@pytest.mark.parametrize(
    ("texts", "has_new_venue"),
    [
        ({"address": "New Street 2"}, True),
        ({"title": "Second talk"}, False),
        ({"description": "Bring cake."}, False),
    ],
)
def test_new_details(appointment, world, texts, has_new_venue):
    """Told once, however often they change before the message goes; to nobody if they change back."""
    world.handle(appointment.booked())
    world.drain()
    [(name, now)], before = texts.items(), getattr(appointment.state.personal, next(iter(texts)))
    for text in ("for a moment", now, now):
        world.handle(appointment.described(**{name: text}))
    world.drain()
    world.handle(appointment.described(**{name: "for a moment"}))
    world.handle(appointment.described(**{name: now}))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "updated"]
    content = world.reached[-1][1].content
    assert content.has_new_venue is has_new_venue
    assert now in (content.venue, content.title, content.description)
    world.handle(appointment.described(**{name: before}))
    world.handle(appointment.described(**{name: now}))
    world.drain()
    assert world.kinds(appointment.host) == ["booked", "updated"]


def test_details_that_come_and_go(appointment, world):
    """Each change that was told is a message of its own, also when an earlier text comes back."""
    world.handle(appointment.booked())
    for venue in ("A", "B", "A", "B"):
        world.handle(appointment.described(address=venue))
        world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"] + ["updated"] * 3
    assert len(set(world.occasions(appointment.contact_id))) == 4


def test_a_silent_change_of_details(appointment, world):
    """Nobody is told, now or later; nor of notes, of `showed`, of texts that were erased."""
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.described(notify=False, address="New Street 2"))
    world.handle(appointment.described(notes="Allergic to nuts"))
    world.handle(appointment.updated(appointment_status="showed"))
    world.handle(appointment.described(title="", description="", address="", notes=""))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked"]


def test_new_details_with_the_new_time(appointment, world):
    """One message says both."""
    world.handle(appointment.booked())
    world.drain()
    world.handle(appointment.moved(appointment.state.start_time + HOUR))
    world.handle(appointment.described(address="New Street 2"))
    world.drain()

    assert world.kinds(appointment.contact_id) == ["booked", "rescheduled"]
    assert world.reached[-1][1].content.venue == "New Street 2"


def test_every_host_of_a_collective(appointment, world):
    """Each host is told of all that the first one is told of; the one who leaves, of the end."""
    second, third = new_id(), new_id()
    world.handle(appointment.booked(hosts=(appointment.host, second)))
    world.drain()
    world.handle(appointment.updated(hosts=(appointment.host, third)))
    world.drain()
    world.handle(appointment.cancelled())
    world.drain()

    assert world.kinds(appointment.host) == ["booked", "cancelled"]
    assert world.kinds(second) == ["booked", "cancelled"]
    assert world.kinds(third) == ["booked", "cancelled"]
    assert world.kinds(appointment.contact_id) == ["booked", "cancelled"]


# Series.


@pytest.fixture
def series(appointment):
    return appointment.as_series(3)


def test_a_series_is_one_message(series, world):
    """With all dates, each with its link; then one for each thing that happens to it."""
    for number, each in enumerate(series):
        world.handle(
            each.booked(READY.model_copy(update={"join_url": f"https://z.example/{number}"}))
        )
    world.drain()

    who = series[0].contact_id
    [content] = [mail.content for to, mail in world.reached if to == who]
    assert [each.join_url for each in content.occurrences] == [
        f"https://z.example/{n}" for n in range(3)
    ]
    assert content.conversation_id == series[0].state.series.master
    world.handle(series[1].moved(series[1].state.start_time + HOUR, OTHER))
    world.drain()
    world.handle(series[2].cancelled())
    world.handle(series[1].cancelled())
    world.drain()
    contents = [mail.content for to, mail in world.reached if to == who]
    assert [content.kind for content in contents] == ["booked", "rescheduled", "cancelled"]
    assert [listed(content) for content in contents[1:]] == [
        ["on", "on!", "on"],
        ["on", "off!", "off!"],
    ]


def listed(content):
    """What a message says of each occurrence; `!` marks the news."""
    return [
        ("on" if each.is_on else "off") + ("!" if each.is_news else "")
        for each in content.occurrences
    ]


def test_several_changes_of_a_series(series, world):
    """One moved, one cancelled, one with another title: one message."""
    for each in series:
        world.handle(each.booked())
    world.drain()
    world.handle(series[0].moved(series[0].state.start_time + HOUR))
    world.handle(series[1].cancelled())
    world.handle(series[2].described(title="Last talk"))
    world.drain()

    assert world.kinds(series[0].host) == ["booked", "updated"]
    assert listed(world.reached[-1][1].content) == ["on!", "off!", "on!"]


@pytest.mark.parametrize(
    ("off", "status"),
    [({"reschedule"}, "sent"), ({"reschedule", "cancellation"}, "switched_off")],
)
def test_several_changes_of_which_some_are_switched_off(series, world, off, status):
    """What is switched on is told: a message is dropped only if all of it is switched off."""
    who = series[0].contact_id
    for each in series:
        world.handle(each.booked())
    world.drain()
    world.handle(series[0].moved(series[0].state.start_time + HOUR))
    world.handle(series[1].cancelled())
    rules = NotificationRules(configured=frozenset(("contact", kind) for kind in off))
    world.mail(who, rules=rules)

    assert world.statuses(who) == ["sent", status]


def test_a_series_waits_for_its_other_occurrences(series, world):
    """Their events come one after the other."""
    world.handle(series[0].booked())
    step = world.decide(series[0].contact_id, pending_for=timedelta(seconds=2))
    assert step == WaitFor(timedelta(seconds=3), "other occurrences of the series may follow")
    step = world.decide(series[0].contact_id, pending_for=timedelta(seconds=5))
    assert isinstance(step, Create)


def test_a_series_waits_for_all_its_links(series, world):
    for each in series:
        world.handle(each.booked(PENDING))
    world.handle(series[0].updated(meeting=READY))
    step = world.decide(series[0].contact_id, pending_for=timedelta(seconds=90))
    assert step == WaitFor(timedelta(seconds=30), "the link is being made")


def test_occurrences_that_are_over(series, world):
    """A message tells of what lies ahead; of what was cancelled afterwards nobody is told."""
    for each in series:
        world.handle(each.booked())
    world.drain()
    first_is_over = series[0].state.end_time
    world.handle(series[0].cancelled())
    assert world.decide(series[0].contact_id, at=first_is_over) == InSync()
    world.handle(series[2].moved(series[2].state.start_time + HOUR))
    mail = world.mail(series[0].contact_id, at=first_is_over)
    assert listed(mail.content) == ["on", "on!"]


def test_a_series_at_a_corrected_address(series, world):
    for each in series:
        world.handle(each.booked())
    world.mail(series[0].contact_id, "rejected")
    world.address = "lovelace@example.com"
    mail = world.mail(series[0].contact_id)
    assert listed(mail.content) == ["on!"] * 3
    assert world.decide(series[0].contact_id) == InSync()


def test_a_series_in_doubt_of_which_one_is_moved(series, world):
    """The next message has all dates again: nothing depends on whether the first one came."""
    for each in series:
        world.handle(each.booked())
    world.mail(series[0].contact_id, "lost in doubt")
    world.handle(series[1].moved(series[1].state.start_time + HOUR))
    mail = world.mail(series[0].contact_id)
    assert (mail.content.kind, listed(mail.content)) == ("rescheduled", ["on", "on!", "on"])


# Random histories.

MEETINGS = (Meeting(), PENDING, READY, OTHER, Meeting(provider="zoom", state="blocked"))
hosts = ("uma" + "0" * 23, "ugo" + "0" * 23)
changes = st.one_of(
    st.tuples(st.just("book"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("move"), st.integers(0, 2), st.sampled_from(MEETINGS)),
    st.tuples(st.just("hand over"), st.sampled_from(hosts)),
    st.tuples(st.just("link"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("describe"), st.sampled_from(["title", "address"]), st.sampled_from("AB")),
    st.tuples(st.just("request")),
    st.tuples(st.just("confirm"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("cancel")),
)
events = st.tuples(st.just("event"), changes, st.booleans())
again = st.tuples(st.just("again"), st.integers(0, 20))
sending = st.tuples(st.just("mail"), st.integers(0, 3), st.sampled_from(OUTCOMES))
histories = st.lists(st.one_of(events, events, sending, sending, again), max_size=25)


def perform(appointment, change, *, notify=True):
    """The event of one change, if booking would allow the change now; else None."""
    start = appointment.state.start_time.replace(hour=9)
    what, *how = change
    exists = appointment.state.sequence > 0
    is_on = appointment.state.occupies and exists
    allowed = {
        "book": not is_on,
        "request": not exists,
        "confirm": is_on and not appointment.state.confirmed,
        "hand over": is_on and [appointment.state.assigned_user_id] != how,
    }
    events = {
        "book": lambda: appointment.booked(how[0], notify=notify),
        "request": lambda: appointment.requested(notify=notify),
        "confirm": lambda: appointment.confirmed(how[0], notify=notify),
        "describe": lambda: appointment.described(**{how[0]: how[1]}, notify=notify),
        "move": lambda: appointment.moved(start + how[0] * HOUR, how[1], notify=notify),
        "hand over": lambda: appointment.handed_to(how[0], notify=notify),
        "link": lambda: appointment.updated(meeting=how[0], notify=notify),
        "cancel": lambda: appointment.cancelled(notify=notify),
    }
    return events[what]() if allowed.get(what, is_on) else None


def play(world, history, *, loud):
    """Play a history; returns whether any mail was refused for good."""
    any_rejected, handled = False, []
    for what, *how in history:
        if what == "event":
            event = perform(world.appointment, how[0], notify=loud or how[1])
            if event:
                handled.append(event)
                world.handle(event)
        elif what == "again" and handled:
            world.handle(handled[how[0] % len(handled)])
        elif what == "mail" and world.stored:
            who = list(world.stored)[how[0] % len(world.stored)]
            step = world.mail(who, how[1])
            any_rejected |= isinstance(step, Mail) and how[1] == "rejected"
    return any_rejected


FIRST_KINDS = ("booked", "confirmed", "rescheduled", "updated")
"""The others follow a silent booking."""


@settings(max_examples=300, deadline=None)
@given(history=histories, loud=st.booleans())
def test_any_history(new_appointment, history, loud):
    """One message per occasion and receiver; again only in doubt, and unchanged; a cancellation only
    to a receiver who may have got an earlier message.
    """
    world = World(new_appointment())
    play(world, history, loud=loud)
    if world.state:
        world.drain()

    for who in world.stored:
        mails = [mail for to, mail in world.reached if to == who]
        by_occasion = {}
        for mail in mails:
            assert by_occasion.setdefault(mail.occasion, mail) == mail
            assert mails.count(mail) <= 2
        if mails:
            assert mails[0].content.kind in FIRST_KINDS or who in world.lost
        assert "sending" not in world.statuses(who)
        assert world.decide(who) == InSync()


@settings(max_examples=300, deadline=None)
@given(history=histories)
def test_the_last_message_is_true(new_appointment, history):
    """After any events, repetitions, deferrals and losses, each receiver's last message is true.

    Unless it got lost, and its one repeat as well.
    """
    world = World(new_appointment())
    refused_for_good = play(world, history, loud=True)
    if world.state is None or refused_for_good:
        return
    world.drain()

    for who in world.stored.keys() - world.never_informed:
        mails = [mail.content for to, mail in world.reached if to == who]
        is_on = world.state.occupies and who in receivers(world.state)
        if not is_on:
            assert not mails or not mails[-1].is_on
            continue
        last = mails[-1]
        assert last.is_on
        assert (last.time.start, last.time.end) == (world.state.start_time, world.state.end_time)
        personal = world.state.personal
        assert (last.title, last.venue) == (personal.title, personal.address)
        assert last.confirmed == is_confirmed(world.state)
        if world.state.meeting.state == "ready":
            assert last.join_url == world.state.meeting.join_url
        assert [m.sequence for m in mails] == sorted(m.sequence for m in mails)


@settings(max_examples=100, deadline=None)
@given(history=st.lists(events, max_size=15))
def test_silent_changes_send_nothing(new_appointment, history):
    """If no change asks for a notification, no message goes."""
    world = World(new_appointment())
    for _, change, _ in history:
        event = perform(world.appointment, change, notify=False)
        if event:
            world.handle(event)
    if world.state:
        world.drain()

    assert world.reached == []


series_histories = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, 2), changes),
        st.tuples(st.just("mail"), st.integers(0, 3), st.sampled_from(OUTCOMES)),
    ),
    max_size=25,
)


def play_series(world, series, history):
    """As `play`, with changes of any of the occurrences."""
    any_rejected = False
    for what, which, how in history:
        if what == "event":
            event = perform(series[which], how)
            if event:
                world.handle(event)
        elif world.stored:
            step = world.mail(list(world.stored)[which % len(world.stored)], how)
            any_rejected |= isinstance(step, Mail) and how == "rejected"
    return any_rejected


@settings(max_examples=300, deadline=None)
@given(history=series_histories)
def test_any_history_of_a_series(new_appointment, history):
    """The last message that tells of an occurrence is true; each message goes at most twice."""
    series = new_appointment().as_series(3)
    world = World(series[0])
    if play_series(world, series, history):
        return
    world.drain()

    for who in world.stored.keys() - world.never_informed:
        mails = [mail for to, mail in world.reached if to == who]
        assert all(mails.count(mail) <= 2 for mail in mails)
        last = {each.appointment_id: each for mail in mails for each in mail.content.occurrences}
        for id_ in world.stored[who]:
            state = world.states[id_]
            is_on = state.occupies and who in receivers(state)
            assert is_on == (id_ in last and last[id_].is_on)
            if is_on:
                assert last[id_].time.start == state.start_time
        assert world.decide(who) == InSync()
