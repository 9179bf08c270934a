"""Faults of the mail sink: which messages are refused or lost, and how.

A fault is `{"match": {"rcpt", "sender"}, "do": …, "times", "skip"}`; both parts of `match` are
regular expressions searched in the envelope's addresses, absent ones match all.

| do | what happens |
|---|---|
| `reply:451 4.3.0 Try later` | this reply to the recipient; the message is not taken for him |
| `data-reply:552 Too big` | this reply after the content; the message is not kept |
| `hang`, `hang:60` | silence at the recipient, for 60 s or until lifted; then accepted |
| `drop` | the connection is closed at the recipient |
| `drop-after-data` | the message is kept, the connection closed instead of a reply |
| `hang-after-data`, `hang-after-data:60` | the message is kept, the reply held back |
"""

import asyncio
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from simulators.faults import Fault, Order

GRAMMAR = re.compile(
    r"(data-)?reply:[245]\d\d .+|hang(-after-data)?(:\d+(\.\d+)?)?|drop(-after-data)?"
)
AFTER_DATA = ("data-reply", "drop-after-data", "hang-after-data")


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _known(text: str) -> str:
    if GRAMMAR.fullmatch(text) is None:
        raise ValueError("unknown fault; see the table in the mail simulator's documentation")
    return text


class Match(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rcpt: Annotated[str, AfterValidator(_expression)] = ""
    sender: Annotated[str, AfterValidator(_expression)] = ""

    def fits(self, sender: str, recipients: list[str]) -> bool:
        hit = any(re.search(self.rcpt, address) for address in recipients)
        return hit and re.search(self.sender, sender) is not None


class MailOrder(Order):
    match: Match = Match()
    do: Annotated[str, AfterValidator(_known)]

    @property
    def deed(self) -> str:
        return self.do.partition(":")[0]

    @property
    def argument(self) -> str:
        return self.do.partition(":")[2]

    @property
    def after_data(self) -> bool:
        """Whether it acts when the content has come, not at the recipient."""
        return self.deed in AFTER_DATA


async def held_back(fault: Fault[MailOrder]) -> None:
    """Wait as long as a `hang` says. A caller who goes away ends the wait, by cancellation."""
    seconds = float(fault.spec.argument) if fault.spec.argument else None
    try:
        await asyncio.wait_for(fault.lifted.wait(), seconds)
    except TimeoutError:
        return
