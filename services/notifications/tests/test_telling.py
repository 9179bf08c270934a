"""Who is told what, once: the table of the domain, row by row, and any history at all."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoop_events.booking import Appointment, Meeting
from hoop_platform.ids import new_id
from notifications.domain import (
    Case,
    GaveUp,
    Nothing,
    Receiver,
    Scene,
    Send,
    Thread,
    Wait,
    assumed,
    delivered,
    doubted,
    fold,
    land,
    next_step,
    owed,
    receivers,
    refused,
    rejected,
)

HOUR = timedelta(hours=1)
LONG = timedelta(days=1)


@dataclass
class World:
    """A story and those who listen to it: events come, also twice and late; mails go, or not."""

    story: object
    state: Appointment | None = None
    threads: dict[str, Thread] = field(default_factory=dict)
    reached: list[tuple[str, Send]] = field(default_factory=list)
    """What arrived or may have arrived: receiver and mail, in order."""
    lost: set[str] = field(default_factory=set)
    """Receivers of whom a mail got lost that might have arrived."""
    address: str = "ada@example.com"

    def hear(self, event):
        """As the handler does it, behind the gate that lets only newer events through."""
        if self.state and event.sequence <= self.state.sequence:
            return
        before, self.state = self.state, event.state
        present = {who: Thread(role, who) for who, role in receivers(event.state).items()}
        for who, thread in (present | self.threads).items():
            self.threads[who] = fold(thread, before, event)

    def decide(self, who, *, waited=LONG, at=None, **known):
        """Take the next step towards somebody; answers it."""
        now = at or self.state.start_time - HOUR
        case = Case(
            state=self.state,
            thread=land(self.threads[who], self.state, now=now),
            receiver=known.get("receiver", Receiver(who, "Ada", self.address)),
            scene=known.get("scene", Scene("Talks", "Main Street")),
            waited=waited,
            link_wait=timedelta(minutes=2),
            message_id=new_id(),
            now=now,
        )
        self.threads[who], step = next_step(case)
        return step

    def mail(self, who, fate="sent", **how):
        """Decide, and let the mail meet its fate."""
        step = self.decide(who, **how)
        if isinstance(step, Send):
            if fate in ("sent", "in doubt", "given up in doubt"):
                self.reached.append((who, step))
            if fate == "lost in doubt":
                self.lost.add(who)
            if fate in FATES:
                self.threads[who] = FATES[fate](self.threads[who], step.message.id)
        return step

    def drain(self, **how):
        """Send all that is owed, to everybody."""
        for who in self.threads:
            for _ in range(5):
                if isinstance(self.mail(who, **how), Nothing | GaveUp):
                    break
            else:
                raise AssertionError("it never ends")

    def occasions(self, who):
        return [step.message.occasion.name for to, step in self.reached if to == who]

    def kinds(self, who):
        return [step.letter.kind for to, step in self.reached if to == who]


FATES = {
    "sent": delivered,
    "refused": lambda thread, id_: refused(thread, id_, "smtp_451"),
    "rejected": lambda thread, id_: rejected(thread, id_, "smtp_550"),
    "given up in doubt": lambda thread, id_: doubted(thread, id_, "smtp_timeout"),
}
READY = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
OTHER = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/2")
PENDING = Meeting(provider="zoom", state="pending")


@pytest.fixture
def life(story):
    return story()


@pytest.fixture
def world(life):
    return World(life)


def test_told_once_each(life, world):
    """Contact and host, each occasion once, also when every event comes twice."""
    for event in (life.booked(), life.moved(life.state.start_time + HOUR), life.cancelled()):
        world.hear(event)
        world.hear(event)
        world.drain()
        world.drain()

    for who in (life.contact_id, life.host):
        assert world.kinds(who) == ["booked", "rescheduled", "cancelled"]
        first, second, third = world.occasions(who)
        assert first.startswith("booked:")
        assert second == "rescheduled:2"
        assert third == f"cancelled:{life.state.session}"


def test_moved_twice_and_back(life, world):
    """What was not told between is never told; back again is nothing but a new link."""
    start = life.state.start_time
    world.hear(life.booked(READY))
    world.drain()
    world.hear(life.moved(start + HOUR, READY))
    world.hear(life.moved(start, OTHER))
    world.drain()

    assert world.kinds(life.contact_id) == ["booked", "link"]
    session = life.state.session
    assert world.occasions(life.contact_id)[-1] == f"link:{session}:1"
    world.hear(life.cancelled())
    world.drain()
    assert world.occasions(life.contact_id)[-1] == f"cancelled:{session}"


def test_the_change_is_told_from_the_time_last_told(life, world):
    start = life.state.start_time
    world.hear(life.booked())
    world.drain()
    world.hear(life.moved(start + HOUR))
    world.hear(life.moved(start + 2 * HOUR))
    world.drain()

    letter = world.reached[-1][1].letter
    assert (letter.was.start, letter.at.start) == (start, start + 2 * HOUR)


def test_confirmed_again_in_the_same_session(life, world):
    """A class goes on while one of it leaves and returns: the occasion is counted."""
    world.hear(life.booked())
    session = life.state.session
    world.drain()
    for _ in range(2):
        world.hear(life.cancelled())
        world.drain()
        world.hear(life.booked(session=session))
        world.drain()

    assert world.occasions(life.contact_id) == [
        f"booked:{session}",
        f"cancelled:{session}",
        f"booked:{session}:2",
        f"cancelled:{session}:2",
        f"booked:{session}:3",
    ]


def test_cancelled_and_confirmed_before_anything_went(life, world):
    world.hear(life.booked())
    world.hear(life.cancelled())
    world.hear(life.booked())
    world.drain()

    assert world.kinds(life.contact_id) == ["booked"]


def test_nobody_is_told_of_what_was_silent(life, world):
    """A silent booking: no link, no cancellation after it; a loud change is told."""
    start = life.state.start_time
    world.hear(life.booked(PENDING, notify=False))
    world.hear(life.updated(meeting=READY))
    world.drain()
    assert world.reached == []

    world.hear(life.moved(start + HOUR))
    world.drain()
    assert world.kinds(life.contact_id) == ["rescheduled"]


def test_a_silent_booking_is_cancelled_in_silence(life, world):
    world.hear(life.booked(notify=False))
    world.hear(life.cancelled())
    world.drain()
    assert world.reached == []

    world.hear(life.booked())
    world.drain()
    assert world.kinds(life.contact_id) == ["booked"]


def test_a_silent_change_is_told_with_what_is_owed(life, world):
    """The confirmation has not gone when the time is changed silently: it goes with the new time."""
    start = life.state.start_time
    world.hear(life.booked())
    world.hear(life.moved(start + HOUR, notify=False))
    world.drain()

    assert world.kinds(life.contact_id) == ["booked"]
    assert world.reached[0][1].letter.at.start == start + HOUR


def test_a_silent_deletion_ends_what_is_owed(life, world):
    world.hear(life.booked())
    world.drain()
    world.hear(life.moved(life.state.start_time + HOUR))
    world.hear(life.cancelled(notify=False))
    world.drain()

    assert world.kinds(life.contact_id) == ["booked"]


def test_what_is_silent_while_a_mail_is_in_the_air_is_told(life, world):
    """Nobody knows yet what the receiver has: better told than wrong."""
    start = life.state.start_time
    world.hear(life.booked())
    world.mail(life.contact_id, "in doubt")
    world.hear(life.moved(start + HOUR, notify=False))
    world.drain()

    assert world.kinds(life.contact_id) == ["booked", "rescheduled"]


def test_another_host(life, world):
    """The former host is cancelled, at the time he knew; the new one is confirmed."""
    former, newcomer = life.host, new_id()
    world.hear(life.booked())
    world.drain()
    world.hear(life.handed_to(newcomer))
    world.drain()

    assert world.kinds(former) == ["booked", "cancelled"]
    assert world.reached[-1][1].letter.handed_over is False
    assert [step.letter.handed_over for to, step in world.reached if to == former] == [False, True]
    assert world.occasions(newcomer) == ["rescheduled:2"]
    assert world.kinds(newcomer) == ["booked"]
    assert world.kinds(life.contact_id) == ["booked", "rescheduled"]


def test_no_link_after_a_confirmation_that_failed(life, world):
    world.hear(life.booked(PENDING))
    world.mail(life.contact_id, "rejected")
    world.hear(life.updated(meeting=READY))
    world.hear(life.cancelled())

    assert world.decide(life.contact_id) == Nothing()


def test_in_doubt_and_still_true(life, world):
    """The same message again, word for word; then it is over."""
    world.hear(life.booked())
    first = world.mail(life.contact_id, "in doubt")
    world.hear(life.updated(personal=life.state.personal.model_copy(update={"title": "New"})))
    second = world.mail(life.contact_id)

    assert (first.message.id, first.letter) == (second.message.id, second.letter)
    assert world.decide(life.contact_id) == Nothing()


def test_in_doubt_and_false_by_now(life, world):
    """Not again: cancelled is what is true, and they may believe that it stands."""
    world.hear(life.booked())
    world.mail(life.contact_id, "in doubt")
    world.hear(life.cancelled())
    step = world.mail(life.contact_id)

    assert step.letter.kind == "cancelled"
    assert [m.status for m in world.threads[life.contact_id].messages] == ["doubtful", "sent"]


@pytest.mark.parametrize("fate", ["refused", "rejected"])
def test_in_doubt_and_then_refused(life, world, fate):
    """The first transmission may have arrived all the same: the cancellation goes."""
    world.hear(life.booked())
    world.mail(life.contact_id, "in doubt")
    world.mail(life.contact_id, fate)
    world.hear(life.cancelled())

    assert world.mail(life.contact_id).letter.kind == "cancelled"


def test_given_up_in_doubt(life, world):
    """Counts as having gone, so that a cancellation follows."""
    world.hear(life.booked())
    world.mail(life.contact_id, "given up in doubt")
    assert world.decide(life.contact_id) == Nothing()

    world.hear(life.cancelled())
    assert world.mail(life.contact_id).letter.kind == "cancelled"


def test_in_doubt_until_it_was_over(life, world):
    world.hear(life.booked())
    world.mail(life.contact_id, "in doubt")

    assert world.decide(life.contact_id, at=life.state.end_time) == Nothing()
    assert world.threads[life.contact_id].messages[0].status == "doubtful"


def test_refused_then_outdated(life, world):
    """What has certainly not gone is dropped when something else is true."""
    world.hear(life.booked())
    world.mail(life.contact_id, "refused")
    world.hear(life.moved(life.state.start_time + HOUR))
    world.mail(life.contact_id)

    assert [m.status for m in world.threads[life.contact_id].messages] == ["dropped", "sent"]
    assert world.occasions(life.contact_id) == ["rescheduled:2"]


def test_refused_and_tried_again_is_one_message(life, world):
    world.hear(life.booked())
    first = world.mail(life.contact_id, "refused")
    world.hear(life.updated(meeting=READY))
    second = world.mail(life.contact_id)

    assert first.message.id == second.message.id
    assert second.letter.link == "here"


def test_a_mended_address(life, world):
    """Owed again under its own occasion; not when it is the same address, or no longer true."""
    world.hear(life.booked())
    world.address = "ada"
    assert world.decide(life.contact_id) == GaveUp("no_usable_address")
    assert world.decide(life.contact_id) == Nothing()

    world.address = "ada@example.com"
    assert world.mail(life.contact_id, "rejected").message.occasion.kind == "booked"
    assert world.decide(life.contact_id) == Nothing()
    world.hear(life.cancelled())
    world.address = "lovelace@example.com"
    assert world.decide(life.contact_id) == Nothing()


def test_nothing_is_owed_after_the_end(life, world):
    """Old news is not told; a message that was tried in time has failed."""
    world.hear(life.booked())
    end = life.state.end_time
    assert world.decide(life.contact_id, at=end) == Nothing()

    world.mail(life.host, "refused")
    assert world.decide(life.host, at=end) == GaveUp("too_late")
    world.address = "other@example.com"
    assert world.decide(life.host) == Nothing()


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
def test_waiting_for_the_link(life, world, meeting, waits):
    """Only as long as it may come."""
    world.hear(life.booked(meeting))
    step = world.decide(life.contact_id, waited=timedelta(seconds=90))

    assert isinstance(step, Wait if waits else Send)
    if waits:
        assert step.more == timedelta(seconds=30)
        assert isinstance(world.decide(life.contact_id, waited=timedelta(seconds=120)), Send)


@pytest.mark.parametrize(("minutes", "waits"), [(1, True), (3, False)])
def test_waiting_for_an_expected_link(life, world, minutes, waits):
    """A link that is expected later than LINK_WAIT (the daily quota) is not waited for."""
    now = life.state.start_time - HOUR
    expected = PENDING.model_copy(update={"expected_at": now + timedelta(minutes=minutes)})
    world.hear(life.booked(expected))

    step = world.decide(life.contact_id, waited=timedelta(), at=now)
    assert isinstance(step, Wait if waits else Send)


def test_waiting_for_names(life, world):
    """An unknown receiver is waited for; a calendar or location only for a while; the gone get nothing."""
    world.hear(life.booked())
    who = life.contact_id

    assert world.decide(who, receiver=None) == Wait("receiver not known yet")
    step = world.decide(who, scene=Scene("Talks", None), waited=timedelta())
    assert step == Wait("calendar or location not known yet", timedelta(seconds=1))
    assert world.decide(who, receiver=Receiver(who, gone=True)) == Nothing()
    assert world.threads[who].messages[0].status == "dropped"
    assert isinstance(world.decide(who, scene=Scene(), waited=LONG), Send)


def test_recording_twice_changes_nothing(life, world):
    world.hear(life.booked())
    step = world.mail(life.contact_id)
    thread = world.threads[life.contact_id]

    for fate in FATES.values():
        assert fate(thread, step.message.id) == thread
    assert rejected(replace(thread, messages=()), new_id(), "x").messages == ()


def test_an_event_while_a_mail_is_in_the_air(life, world):
    """What is owed then counts the mail as arrived."""
    world.hear(life.booked())
    world.mail(life.contact_id, "in doubt")
    thread = world.threads[life.contact_id]

    assert owed(assumed(thread), life.state) is None
    life.cancelled()
    assert owed(assumed(thread), life.state).kind == "cancelled"


def test_an_appointment_without_a_user(story):
    """A calendar that is its own host: only the contact is told."""
    life = story(host=None)
    life.booked()

    assert receivers(life.state) == {life.contact_id: "contact"}


# Any history.

MEETINGS = (Meeting(), PENDING, READY, OTHER, Meeting(provider="zoom", state="blocked"))
hosts = ("uma" + "0" * 23, "ugo" + "0" * 23)
deeds = st.one_of(
    st.tuples(st.just("book"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("move"), st.integers(0, 2), st.sampled_from(MEETINGS)),
    st.tuples(st.just("hand over"), st.sampled_from(hosts)),
    st.tuples(st.just("link"), st.sampled_from(MEETINGS)),
    st.tuples(st.just("cancel")),
)
hearing = st.tuples(st.just("hear"), deeds, st.booleans())
again = st.tuples(st.just("again"), st.integers(0, 20))
sending = st.tuples(
    st.just("mail"), st.integers(0, 3), st.sampled_from([*FATES, "in doubt", "lost in doubt"])
)
histories = st.lists(st.one_of(hearing, hearing, sending, sending, again), max_size=25)


def perform(life, deed, *, notify=True):
    """One deed of a client, if booking would allow it now."""
    start = life.state.start_time.replace(hour=9)
    what, *how = deed
    stands = life.state.occupies and life.state.sequence > 0
    if what == "book" and not stands:
        return life.booked(how[0], notify=notify)
    if what == "move" and stands:
        return life.moved(start + how[0] * HOUR, how[1], notify=notify)
    if what == "hand over" and stands and life.state.assigned_user_id != how[0]:
        return life.handed_to(how[0], notify=notify)
    if what == "link" and stands:
        return life.updated(meeting=how[0], notify=notify)
    return life.cancelled(notify=notify) if what == "cancel" and stands else None


def live(world, history, *, loud):
    """Play a history; answers whether any mail was refused for good."""
    told, events = False, []
    for what, *how in history:
        if what == "hear":
            event = perform(world.story, how[0], notify=loud or how[1])
            if event:
                events.append(event)
                world.hear(event)
        elif what == "again" and events:
            world.hear(events[how[0] % len(events)])
        elif what == "mail" and world.threads:
            who = list(world.threads)[how[0] % len(world.threads)]
            step = world.mail(who, how[1])
            told |= isinstance(step, Send) and how[1] == "rejected"
    return told


@settings(max_examples=300, deadline=None)
@given(history=histories, loud=st.booleans())
def test_any_history(story, history, loud):
    """One message per occasion and receiver; the same again only in doubt, in the same words; a
    cancellation only to whom something may have gone.
    """
    world = World(story())
    live(world, history, loud=loud)
    if world.state:
        world.drain()

    for who in world.threads:
        mails = [step for to, step in world.reached if to == who]
        by_occasion = {}
        for step in mails:
            before = by_occasion.setdefault(step.message.occasion.name, step)
            assert before.message.id == step.message.id
            assert before.letter == step.letter
        if mails:
            assert mails[0].letter.kind in ("booked", "rescheduled") or who in world.lost
        assert sum(m.status in ("waiting", "sending") for m in world.threads[who].messages) == 0


@settings(max_examples=300, deadline=None)
@given(history=histories)
def test_the_last_word_is_true(story, history):
    """Whatever was announced, repeated, refused for now, or lost: when all is calm everybody knows."""
    world = World(story())
    refused_for_good = live(world, history, loud=True)
    if world.state is None or refused_for_good:
        return
    world.drain()

    for who in world.threads:
        mails = [step.letter for to, step in world.reached if to == who]
        stands = world.state.occupies and who in receivers(world.state)
        if not stands:
            assert not mails or not mails[-1].stands
            continue
        last = mails[-1]
        assert last.stands
        assert (last.at.start, last.at.end) == (world.state.start_time, world.state.end_time)
        if world.state.meeting.state == "ready":
            assert last.join_url == world.state.meeting.join_url
        assert [m.sequence for m in mails] == sorted(m.sequence for m in mails)


@settings(max_examples=100, deadline=None)
@given(history=st.lists(hearing, max_size=15))
def test_silence_is_silent(story, history):
    """When no change is to be told, nothing is."""
    world = World(story())
    for _, deed, _ in history:
        event = perform(world.story, deed, notify=False)
        if event:
            world.hear(event)
    if world.state:
        world.drain()

    assert world.reached == []
