"""Random calendars, schedules and bookings for the properties of the slot engine."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st
from slot_oracle.oracle import DAYS, Oracle, World, wall

# A zone and a date near a change of its clocks: plain hours, half hours, midnights, two hours.
CHANGES = [
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2027, 11, 7)),
    ("Europe/London", date(2027, 10, 31)),
    ("Australia/Lord_Howe", date(2027, 10, 3)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("America/Santiago", date(2027, 9, 5)),
    ("America/Havana", date(2027, 11, 7)),
    ("Africa/Cairo", date(2027, 4, 30)),
    ("Africa/Casablanca", date(2027, 3, 14)),
    ("Antarctica/Troll", date(2027, 3, 28)),
    ("Pacific/Chatham", date(2027, 4, 4)),
    ("Asia/Kathmandu", date(2027, 6, 1)),
    ("UTC", date(2028, 2, 29)),
]
HOSTS = ["ada", "bob", "cyd"]
ROOMS, EQUIPMENT = ["room-1", "room-2"], ["beamer", "camera"]
DAY = 1440

quarters = st.integers(0, 96)
times = st.tuples(quarters, quarters).map(sorted).map(lambda q: (q[0] * 15, q[1] * 15))


def open_hours(span: tuple[int, int]) -> dict:
    """`23:60` and `24:00` both mean midnight."""
    opens, closes = span
    hour, minute = (23, 60) if closes == DAY else divmod(closes, 60)
    return {
        "openHour": opens // 60,
        "openMinute": opens % 60,
        "closeHour": hour,
        "closeMinute": minute,
    }


def clock(minute: int) -> str:
    return "23:59" if minute == DAY else f"{minute // 60:02}:{minute % 60:02}"


hours = st.lists(times, max_size=3).map(lambda spans: [open_hours(span) for span in spans])
most_days = st.sampled_from([[0, 1, 2, 3, 4, 5, 6], [0, 6], [1, 2, 3, 4, 5], [0, 1]])
week = st.lists(st.fixed_dictionaries({"daysOfTheWeek": most_days, "hours": hours}), max_size=3)
always = st.just([{"daysOfTheWeek": list(range(7)), "hours": [open_hours((0, DAY))]}])


@st.composite
def dates(draw, around):
    day = around + timedelta(days=draw(st.integers(-1, 1)))
    return {
        "date": f"{day}T00:00:00.000Z",
        "hours": draw(hours),
        "deleted": draw(st.sampled_from([False, False, True])),
    }


@st.composite
def schedules(draw, zone, around):
    day = (around + timedelta(days=draw(st.integers(-1, 1)))).isoformat()
    spans = st.one_of(st.just([(0, DAY)]), st.lists(times, max_size=2)).map(
        lambda found: [{"from": clock(a), "to": clock(b)} for a, b in found]
    )
    names = draw(st.one_of(st.just(DAYS), st.lists(st.sampled_from(DAYS), max_size=5)))
    rules = [{"type": "wday", "day": name, "intervals": draw(spans)} for name in names]
    if draw(st.booleans()):
        rules.append({"type": "date", "date": day, "intervals": draw(spans)})
    return {
        "name": draw(st.uuids()).hex,
        "userId": draw(st.sampled_from(HOSTS)),
        "timezone": draw(st.sampled_from([zone, zone, "Asia/Kolkata", "America/St_Johns"])),
        "rules": rules,
    }


@st.composite
def calendars(draw, around):
    """The fields of a calendar; fields that are not drawn have their defaults."""
    kind = draw(
        st.sampled_from(["round_robin", "collective", "class_booking", "personal", "event"])
    )
    size = {"personal": 1, "event": 0}.get(kind) or draw(st.integers(1, 3))
    team = [] if kind == "event" else HOSTS[:size]
    primary = draw(st.sampled_from(team)) if team else None
    optional = {
        "slotDuration": st.sampled_from([15, 30, 45, 60, 100]),
        "slotInterval": st.sampled_from([10, 15, 30, 40, 60]),
        "preBuffer": st.sampled_from([5, 15, 30]),
        "slotBuffer": st.sampled_from([5, 15, 60]),
        "appoinmentPerDay": st.sampled_from([0, 1, 3, 9]),
        "availabilityType": st.sampled_from([None, None, 0, 1]),
        "availabilities": st.lists(dates(around), max_size=2),
        "isActive": st.sampled_from([True] * 7 + [False]),
    }
    fields = {name: draw(values) for name, values in optional.items() if draw(st.booleans())}
    if draw(st.booleans()):
        fields |= draw(
            st.sampled_from(
                [
                    {"allowBookingAfter": 90, "allowBookingAfterUnit": "mins"},
                    {"allowBookingAfter": 1, "allowBookingAfterUnit": "days"},
                    {"allowBookingFor": 1, "allowBookingForUnit": "days"},
                    {"allowBookingFor": 1, "allowBookingForUnit": "months"},
                    {"slotDuration": 1.5, "slotDurationUnit": "hours"},
                ]
            )
        )
    members = [{"userId": user, "isPrimary": user == primary} for user in team]
    openings = draw(st.one_of(week, always))
    return {
        "id": "cal",
        "calendarType": kind,
        "teamMembers": members,
        "openHours": openings,
        "appoinmentPerSlot": draw(st.integers(1, 3)),
        **fields,
    }


rooms = st.fixed_dictionaries(
    {
        "id": st.sampled_from(ROOMS),
        "resourceType": st.just("rooms"),
        "isActive": st.sampled_from([True, True, True, False]),
    }
)
equipment = st.fixed_dictionaries(
    {
        "id": st.sampled_from(EQUIPMENT),
        "resourceType": st.just("equipments"),
        "quantity": st.integers(1, 3),
        "outOfService": st.sampled_from([0, 0, 0, 1]),
    }
)
resources = st.one_of(
    st.just([]),
    st.lists(st.one_of(rooms, rooms, equipment), max_size=3, unique_by=lambda one: one["id"]),
)


@st.composite
def worlds(draw):
    """A calendar near a change of the clocks, with busy times and some sessions."""
    zone, around = draw(st.sampled_from(CHANGES))
    midnight = round(datetime(around.year, around.month, around.day, tzinfo=UTC).timestamp()) // 60
    world = World(
        calendar=draw(calendars(around)),
        zone=zone,
        schedules=draw(st.lists(schedules(zone, around), max_size=2)),
        resources=draw(resources),
        now=midnight + draw(st.one_of(st.integers(-3 * DAY, -DAY), st.integers(-DAY, DAY))),
    )
    moments = st.integers(midnight - DAY, midnight + 2 * DAY)
    for owner in [*HOSTS, "cal", *ROOMS, *EQUIPMENT]:
        world.busy[owner] = [
            (start, start + draw(st.integers(1, 200)), *draw(buffers))
            for start in draw(st.lists(moments, max_size=3))
        ]
    begin_sessions(draw, world, (midnight - DAY // 2, midnight + DAY))
    return world, (midnight - DAY // 2, midnight + DAY)


buffers = st.sampled_from([(0, 0), (0, 0), (15, 0), (0, 30), (10, 20)])


def begin_sessions(draw, world, window):
    """Sessions at free starts, also in the busy times of their hosts; some longer or shorter."""
    oracle = Oracle(world)
    free = [minute for minute in range(*window, 5) if oracle.able_hosts(minute)]
    for _ in range(draw(st.integers(0, 4)) if free else 0):
        start = draw(st.sampled_from(free))
        able = sorted(
            host for host in oracle.able_hosts(start) if (host, start) not in world.sessions
        )
        if not able:
            continue
        end = start + oracle.length + draw(st.sampled_from([0, 0, 0, 15, -5]))
        taken, needs = draw(st.integers(1, oracle.capacity)), oracle.needs(start)
        if needs is None:
            continue
        team = able if oracle.collective else [draw(st.sampled_from(able))]
        for host in team:
            world.sessions[host, start], world.used[host, start] = (end, taken), needs
        for owner in [*team, *needs]:
            world.busy.setdefault(owner, []).append((start, end, oracle.before, oracle.after))
        day = wall(start, world.zone).date()
        world.counts[day] = world.counts.get(day, 0) + taken
