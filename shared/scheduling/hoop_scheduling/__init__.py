"""The slot engine: which slots of a calendar are free and what may be booked, computed in integers.

Instants are epoch milliseconds, intervals half-open, zones IANA names. The functions of `listing`,
`explain` and `engine` share these arguments:

`busy`        occupied times by id of the host, room or equipment, of all calendars and of none; the
              calendar's own sessions are included. Times under the calendar's id block all hosts.
`seats`       the calendar's sessions by (host, start), a collective session under each of its
              hosts; needed only if a session has, or had, more than one seat.
`day_counts`  the calendar's occupying appointments by local date; needed only with `per_day`.
`leave_out`   an appointment that is being moved: the result is as if it were deleted.

docs/decisions/0006-slot-rules.md defines what each rule means.
"""
