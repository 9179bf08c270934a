"""What may be booked, and what can be offered: one engine for both, pure and in integers.

Times are epoch milliseconds, intervals half-open, zones IANA names. All questions are asked in the
same words:

`busy`        everything that occupies a host, a room or equipment, by its id: of all calendars and
              none, this calendar's own sessions included. Under the calendar's own id: what blocks
              it, whoever the host.
`seats`       this calendar's sessions by (host, start), a collective one under each of its hosts;
              needed only where a session has or had more than one seat.
`day_counts`  this calendar's occupying appointments by local date; needed only with `per_day`.
`leave_out`   an appointment that is being moved: answered as if it were gone.

What each rule means stands in docs/decisions/0006-slot-rules.md.
"""
