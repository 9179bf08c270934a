"""The days that a recurrence rule names (RFC 5545, section 3.3.10), period by period.

A period is a day, a week, a month or a year, as FREQ says. Its days are looked at one by one, so the
work is bounded by the number of days that are looked at, whatever the rule.
"""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import count

from booking.domain.recurrence_rule import NumberedWeekday, RecurrenceRule

_DAY = timedelta(days=1)


def rule_days(rule: RecurrenceRule, first: date, *, last: date) -> Iterator[date]:
    """The rule's days within [first, last], in order; `first` is the day of DTSTART."""
    rule = _with_defaults(rule, first)
    for begin, end in _periods(rule, first, last):
        days = (begin + n * _DAY for n in range((end - begin).days))
        named = [day for day in days if _names(rule, day)]
        yield from (day for day in _at_positions(rule, named) if first <= day <= last)


def _with_defaults(rule: RecurrenceRule, first: date) -> RecurrenceRule:
    """A rule that names no days means those of its first day."""
    if rule.week_days or rule.month_days:
        return rule
    match rule.freq:
        case "WEEKLY":
            return replace(rule, week_days=(NumberedWeekday(first.weekday()),))
        case "MONTHLY":
            return replace(rule, month_days=(first.day,))
        case "YEARLY":
            return replace(rule, month_days=(first.day,), months=rule.months or (first.month,))
        case _:
            return rule


def _periods(rule: RecurrenceRule, first: date, last: date) -> Iterator[tuple[date, date]]:
    """Every `interval`-th period from that of `first` to that of `last`, as [begin, end)."""
    for number in count(0, rule.interval):
        begin, end = _period(rule, first, number)
        if begin > last:
            return
        yield begin, end


def _period(rule: RecurrenceRule, first: date, number: int) -> tuple[date, date]:
    """The period that is so many after that of `first`."""
    match rule.freq:
        case "DAILY":
            day = first + number * _DAY
            return day, day + _DAY
        case "WEEKLY":
            monday = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
            return monday + timedelta(weeks=number), monday + timedelta(weeks=number + 1)
        case "MONTHLY":
            return _month(first.year, first.month + number), _month(
                first.year, first.month + number + 1
            )
        case _:
            return date(first.year + number, 1, 1), date(first.year + number + 1, 1, 1)


def _month(year: int, month: int) -> date:
    """The first day of a month, which may be counted beyond the year's twelve."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _names(rule: RecurrenceRule, day: date) -> bool:
    """Whether BYMONTH, BYMONTHDAY and BYDAY, as far as they are there, all name the day."""
    if rule.months and day.month not in rule.months:
        return False
    from_end = day.day - monthrange(day.year, day.month)[1] - 1
    if rule.month_days and not {day.day, from_end}.intersection(rule.month_days):
        return False
    return not rule.week_days or not _weekday_names(rule, day).isdisjoint(rule.week_days)


def _weekday_names(rule: RecurrenceRule, day: date) -> set[NumberedWeekday]:
    """`TU`, `2TU` and `-3TU` for a Tuesday: its values of BYDAY in its month or year."""
    if rule.freq == "YEARLY" and not rule.months:
        begin, end = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    else:
        begin, end = _month(day.year, day.month), _month(day.year, day.month + 1)
    weekday = day.weekday()
    ordinals = (0, (day - begin).days // 7 + 1, -((end - day - _DAY).days // 7 + 1))
    return {NumberedWeekday(weekday, ordinal) for ordinal in ordinals}


def _at_positions(rule: RecurrenceRule, days: Sequence[date]) -> Sequence[date]:
    """The days of one period at the positions of BYSETPOS; without BYSETPOS all of them."""
    if not rule.positions:
        return days
    indexes = (n - 1 if n > 0 else len(days) + n for n in rule.positions)
    return [days[index] for index in sorted(set(indexes)) if 0 <= index < len(days)]
