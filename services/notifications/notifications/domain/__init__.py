"""What notifications decides: who is told what, once, and when. Pure.

The rule is level-triggered. For each appointment and receiver (the contact, the assigned user) a
`Thread` keeps what that person has been told; the newest state says what is true; `owed` is the
difference. Events in between leave no trace, and duplicates and old ones change nothing. The
message that is owed bears its occasion, unique in the thread; it is written at the moment it goes.

| told so far | true now | what goes | occasion |
|---|---|---|---|
| nothing | stands | a confirmation | `booked:<session>` |
| nothing | stands, moved before the confirmation went | one confirmation, with the new time | `rescheduled:<timeRevision>`, which replaces `booked` |
| nothing | stands, with a new host | to the new host a confirmation | `rescheduled:<timeRevision>` |
| nothing | does not stand (cancelled before anything went) | nothing | |
| a time, a host | another time or host | the change, from the time last told, however many lay between | `rescheduled:<timeRevision>` |
| a time, a host | the same again (moved away and back) | nothing; its new link, when there is one | `link:…` |
| it stands, no link or another | a link, ready | the link | `link:<session>:<n>`, the n-th told there |
| it stands (went, or may have gone) | does not stand, or has another host | a cancellation, of the time last told | `cancelled:<session>` last told |
| it stands, but nothing went (silent, or refused for good) | does not stand | nothing | |
| cancelled | stands again | a confirmation | `booked:<session>` |

An occasion that was used already (a class cancelled and confirmed again is in the same session
as before) is counted: `booked:<session>:2`.

`change.notify = false` moves what counts as told along without a message. It is told with what is
still owed, or still in the air, when there is such; but a silent deletion ends what was owed.

A calendar's notification settings (`Rules`) decide, at the moment a message would go, whether it
does. One that is switched off counts as told, so that the next one that is switched on makes sense.
Settings may also name further receivers, who get mails of their own, in threads of their own.

A `booked` or `rescheduled` message waits for its link while that may come within LINK_WAIT. A
message refused for good (5xx, no usable address) counts as told, so that it is not tried for ever;
it is tried again when the receiver's address changes. In doubt (a crash or a lost connection after
the server had the text) the same message goes again, with the same Message-ID, unless it is false by
then: then it counts as having gone, and what is true follows.
"""

from notifications.domain.letter import (
    Kind,
    Letter,
    LinkNews,
    Receiver,
    Role,
    Scene,
    Span,
    Wording,
    when,
    write,
)
from notifications.domain.placeholders import PLACEHOLDERS, unknown_placeholders
from notifications.domain.rules import Rule, Rules
from notifications.domain.step import Case, GaveUp, Nothing, Send, Step, Wait, next_step
from notifications.domain.telling import (
    FINAL,
    Message,
    Occasion,
    Status,
    Thread,
    Told,
    assumed,
    delivered,
    doubted,
    failed,
    fold,
    land,
    newcomer,
    owed,
    receivers,
    refused,
    rejected,
)
from notifications.domain.text import one_address, one_line, plain, web_link
