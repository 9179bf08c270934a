"""Which message each receiver gets, once: the table in the README row by row, and random histories."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoop_events.booking import Appointment, Meeting
from hoop_platform.ids import new_id
from notifications.domain.message import NotificationContext, Receiver
from notifications.domain.next_action import (
    GiveUp,
    NoAction,
    Send,
    ThreadSnapshot,
    Wait,
    next_action,
)
from notifications.domain.outcomes import (
    assume_delivered,
    deferred,
    delivered,
    doubtful,
    rejected,
    resolve_in_flight,
)
from notifications.domain.threads import Thread, apply_event, pending_notice, receivers

HOUR = timedelta(hours=1)
LONG = timedelta(days=1)


@dataclass
class World:
    """An appointment and its threads: events come, also twice and late; mails are delivered, or not."""

    appointment: object
    state: Appointment | None = None
    threads: dict[str, Thread] = field(default_factory=dict)
    reached: list[tuple[str, Send]] = field(default_factory=list)
    """What was or may have been delivered: receiver and message, in order."""
    lost: set[str] = field(default_factory=set)
    """Receivers of a mail that got lost although it might have been delivered."""
    address: str = "ada@example.com"

    def handle(self, event):
        """As the handler does it, behind the inbox that passes only newer events on."""
        if self.state and event.sequence <= self.state.sequence:
            return
        before, self.state = self.state, event.state
        present = {who: Thread(role, who) for who, role in receivers(event.state).items()}
        for who, thread in (present | self.threads).items():
            self.threads[who] = apply_event(thread, before, event)

    def decide(self, who, *, pending_for=LONG, at=None, **known):
        """Decide about the next action towards a receiver; returns the action."""
        now = at or self.state.start_time - HOUR
        snapshot = ThreadSnapshot(
            state=self.state,
            thread=resolve_in_flight(self.threads[who], self.state, now=now),
            receiver=known.get("receiver", Receiver(who, "Ada", self.address)),
            context=known.get("context", NotificationContext("Talks", "Main Street")),
            pending_for=pending_for,
            link_wait=timedelta(minutes=2),
            message_id=new_id(),
            now=now,
        )
        self.threads[who], action = next_action(snapshot)
        return action

    def mail(self, who, outcome="sent", **how):
        """Decide, and record the outcome of the mail, if there is one."""
        action = self.decide(who, **how)
        if isinstance(action, Send):
            if outcome in ("sent", "in doubt", "given up in doubt"):
                self.reached.append((who, action))
            if outcome == "lost in doubt":
                self.lost.add(who)
            if outcome in OUTCOMES:
                self.threads[who] = OUTCOMES[outcome](self.threads[who], action.message.id)
        return action

    def drain(self, **how):
        """Send every pending message to every receiver."""
        for who in self.threads:
            for _ in range(5):
                if isinstance(self.mail(who, **how), NoAction | GiveUp):
                    break
            else:
                raise AssertionError("a message is pending after five attempts")

    def occasions(self, who):
        return [action.message.occasion.name for to, action in self.reached if to == who]

    def kinds(self, who):
        return [action.content.kind for to, action in self.reached if to == who]


OUTCOMES = {
    "sent": delivered,
    "deferred": lambda thread, id_: deferred(thread, id_, "smtp_451"),
    "rejected": lambda thread, id_: rejected(thread, id_, "smtp_550"),
    "given up in doubt": lambda thread, id_: doubtful(thread, id_, "smtp_timeout"),
}
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
    assert [action.content.has_new_host for to, action in world.reached if to == former] == [
        False,
        True,
    ]
    assert world.occasions(new_host) == ["rescheduled:2"]
    assert world.kinds(new_host) == ["booked"]
    assert world.kinds(appointment.contact_id) == ["booked", "rescheduled"]


def test_no_link_after_a_confirmation_that_failed(appointment, world):
    world.handle(appointment.booked(PENDING))
    world.mail(appointment.contact_id, "rejected")
    world.handle(appointment.updated(meeting=READY))
    world.handle(appointment.cancelled())

    assert world.decide(appointment.contact_id) == NoAction()


def test_in_doubt_and_still_true(appointment, world):
    """The same message again, unchanged; then none is pending."""
    world.handle(appointment.booked())
    first = world.mail(appointment.contact_id, "in doubt")
    world.handle(
        appointment.updated(personal=appointment.state.personal.model_copy(update={"title": "New"}))
    )
    second = world.mail(appointment.contact_id)

    assert (first.message.id, first.content) == (second.message.id, second.content)
    assert world.decide(appointment.contact_id) == NoAction()


def test_in_doubt_and_false_by_now(appointment, world):
    """Not again: a cancellation goes, since the receiver may expect the appointment."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    world.handle(appointment.cancelled())
    action = world.mail(appointment.contact_id)

    assert action.content.kind == "cancelled"
    assert [m.status for m in world.threads[appointment.contact_id].messages] == [
        "doubtful",
        "sent",
    ]


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
    assert world.decide(appointment.contact_id) == NoAction()

    world.handle(appointment.cancelled())
    assert world.mail(appointment.contact_id).content.kind == "cancelled"


def test_in_doubt_until_the_appointment_is_over(appointment, world):
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")

    assert world.decide(appointment.contact_id, at=appointment.state.end_time) == NoAction()
    assert world.threads[appointment.contact_id].messages[0].status == "doubtful"


def test_deferred_then_outdated(appointment, world):
    """A message that was certainly not delivered is dropped when another one is pending."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "deferred")
    world.handle(appointment.moved(appointment.state.start_time + HOUR))
    world.mail(appointment.contact_id)

    assert [m.status for m in world.threads[appointment.contact_id].messages] == ["dropped", "sent"]
    assert world.occasions(appointment.contact_id) == ["rescheduled:2"]


def test_deferred_and_tried_again_is_one_message(appointment, world):
    world.handle(appointment.booked())
    first = world.mail(appointment.contact_id, "deferred")
    world.handle(appointment.updated(meeting=READY))
    second = world.mail(appointment.contact_id)

    assert first.message.id == second.message.id
    assert second.content.link_status == "here"


def test_a_corrected_address(appointment, world):
    """The failed message goes again under its occasion; not to the same address, nor if outdated."""
    world.handle(appointment.booked())
    world.address = "ada"
    assert world.decide(appointment.contact_id) == GiveUp("no_usable_address")
    assert world.decide(appointment.contact_id) == NoAction()

    world.address = "ada@example.com"
    assert world.mail(appointment.contact_id, "rejected").message.occasion.kind == "booked"
    assert world.decide(appointment.contact_id) == NoAction()
    world.handle(appointment.cancelled())
    world.address = "lovelace@example.com"
    assert world.decide(appointment.contact_id) == NoAction()


def test_no_message_after_the_end(appointment, world):
    """After the appointment nothing is sent; a message that was tried before has failed."""
    world.handle(appointment.booked())
    end = appointment.state.end_time
    assert world.decide(appointment.contact_id, at=end) == NoAction()

    world.mail(appointment.host, "deferred")
    assert world.decide(appointment.host, at=end) == GiveUp("too_late")
    world.address = "other@example.com"
    assert world.decide(appointment.host) == NoAction()


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
    action = world.decide(appointment.contact_id, pending_for=timedelta(seconds=90))

    assert isinstance(action, Wait if waits else Send)
    if waits:
        assert action.at_most == timedelta(seconds=30)
        assert isinstance(
            world.decide(appointment.contact_id, pending_for=timedelta(seconds=120)), Send
        )


@pytest.mark.parametrize(("minutes", "waits"), [(1, True), (3, False)])
def test_waiting_for_an_expected_link(appointment, world, minutes, waits):
    """A link that is expected later than LINK_WAIT (the daily quota) is not waited for."""
    now = appointment.state.start_time - HOUR
    expected = PENDING.model_copy(update={"expected_at": now + timedelta(minutes=minutes)})
    world.handle(appointment.booked(expected))

    action = world.decide(appointment.contact_id, pending_for=timedelta(), at=now)
    assert isinstance(action, Wait if waits else Send)


def test_waiting_for_names(appointment, world):
    """For an unknown receiver without a limit, for other names up to LINK_WAIT; no mail to the erased."""
    world.handle(appointment.booked())
    who = appointment.contact_id

    assert world.decide(who, receiver=None) == Wait("receiver not known yet")
    action = world.decide(who, context=NotificationContext("Talks", None), pending_for=timedelta())
    assert action == Wait("calendar or location not known yet", timedelta(seconds=1))
    assert world.decide(who, receiver=Receiver(who, erased=True)) == NoAction()
    assert world.threads[who].messages[0].status == "dropped"
    assert isinstance(world.decide(who, context=NotificationContext(), pending_for=LONG), Send)


def test_recording_twice_changes_nothing(appointment, world):
    world.handle(appointment.booked())
    action = world.mail(appointment.contact_id)
    thread = world.threads[appointment.contact_id]

    for outcome in OUTCOMES.values():
        assert outcome(thread, action.message.id) == thread
    assert rejected(replace(thread, messages=()), new_id(), "x").messages == ()


def test_an_event_while_a_mail_is_in_flight(appointment, world):
    """The pending notice then counts the mail as delivered."""
    world.handle(appointment.booked())
    world.mail(appointment.contact_id, "in doubt")
    thread = world.threads[appointment.contact_id]

    assert pending_notice(assume_delivered(thread), appointment.state) is None
    appointment.cancelled()
    assert pending_notice(assume_delivered(thread), appointment.state).kind == "cancelled"


def test_an_appointment_without_a_user(new_appointment):
    """For a calendar that is its own host, only the contact gets messages."""
    appointment = new_appointment(host=None)
    appointment.booked()

    assert receivers(appointment.state) == {appointment.contact_id: "contact"}


# Random histories.

MEETINGS = (Meeting(), PENDING, READY, OTHER, Meeting(provider="zoom", state="blocked"))
hosts = ("uma" + "0" * 23, "ugo" + "0" * 23)
changes = st.one_of(
    st.tuples(st.just("book"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("move"), st.integers(0, 2), st.sampled_from(MEETINGS)),
    st.tuples(st.just("hand over"), st.sampled_from(hosts)),
    st.tuples(st.just("link"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("cancel")),
)
events = st.tuples(st.just("event"), changes, st.booleans())
again = st.tuples(st.just("again"), st.integers(0, 20))
sending = st.tuples(
    st.just("mail"), st.integers(0, 3), st.sampled_from([*OUTCOMES, "in doubt", "lost in doubt"])
)
histories = st.lists(st.one_of(events, events, sending, sending, again), max_size=25)


def perform(appointment, change, *, notify=True):
    """The event of one change, if booking would allow the change now; else None."""
    start = appointment.state.start_time.replace(hour=9)
    what, *how = change
    is_on = appointment.state.occupies and appointment.state.sequence > 0
    if what == "book" and not is_on:
        return appointment.booked(how[0], notify=notify)
    if what == "move" and is_on:
        return appointment.moved(start + how[0] * HOUR, how[1], notify=notify)
    if what == "hand over" and is_on and appointment.state.assigned_user_id != how[0]:
        return appointment.handed_to(how[0], notify=notify)
    if what == "link" and is_on:
        return appointment.updated(meeting=how[0], notify=notify)
    return appointment.cancelled(notify=notify) if what == "cancel" and is_on else None


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
        elif what == "mail" and world.threads:
            who = list(world.threads)[how[0] % len(world.threads)]
            action = world.mail(who, how[1])
            any_rejected |= isinstance(action, Send) and how[1] == "rejected"
    return any_rejected


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

    for who in world.threads:
        mails = [action for to, action in world.reached if to == who]
        by_occasion = {}
        for action in mails:
            before = by_occasion.setdefault(action.message.occasion.name, action)
            assert before.message.id == action.message.id
            assert before.content == action.content
        if mails:
            assert mails[0].content.kind in ("booked", "rescheduled") or who in world.lost
        assert sum(m.status in ("waiting", "sending") for m in world.threads[who].messages) == 0


@settings(max_examples=300, deadline=None)
@given(history=histories)
def test_the_last_message_is_true(new_appointment, history):
    """After any events, repetitions, deferrals and losses, each receiver's last message is true."""
    world = World(new_appointment())
    refused_for_good = play(world, history, loud=True)
    if world.state is None or refused_for_good:
        return
    world.drain()

    for who in world.threads:
        mails = [action.content for to, action in world.reached if to == who]
        is_on = world.state.occupies and who in receivers(world.state)
        if not is_on:
            assert not mails or not mails[-1].is_on
            continue
        last = mails[-1]
        assert last.is_on
        assert (last.time.start, last.time.end) == (world.state.start_time, world.state.end_time)
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
