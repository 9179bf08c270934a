"""Faults of the mail sink: which messages are refused or lost, and how.

A fault is `{"match": {"rcpt", "sender"}, "do": …, "times", "skip"}`; both parts of `match` are
regular expressions searched in the envelope's addresses, absent ones match all.

| do | what happens |
|---|---|
| `reply:451 4.3.0 Try later` | this reply to `RCPT`; the message is not accepted for this recipient |
| `data-reply:552 Too big` | this reply to `DATA`; the message is not stored |
| `hang`, `hang:60` | no reply to `RCPT` for 60 s or until lifted; then accepted |
| `drop` | the connection is closed after `RCPT` |
| `drop-after-data` | the message is stored, the connection closed instead of a reply |
| `hang-after-data`, `hang-after-data:60` | the message is stored, the reply held back |
"""

import asyncio
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from simulators.faults import Fault, FaultSpec

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


class MailMatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rcpt: Annotated[str, AfterValidator(_expression)] = ""
    sender: Annotated[str, AfterValidator(_expression)] = ""

    def fits(self, sender: str, recipients: list[str]) -> bool:
        hit = any(re.search(self.rcpt, address) for address in recipients)
        return hit and re.search(self.sender, sender) is not None


class MailFaultSpec(FaultSpec):
    match: MailMatch = MailMatch()
    do: Annotated[str, AfterValidator(_known)]

    @property
    def action(self) -> str:
        return self.do.partition(":")[0]

    @property
    def argument(self) -> str:
        return self.do.partition(":")[2]

    @property
    def after_data(self) -> bool:
        """Whether the fault is applied to `DATA`, not to `RCPT`."""
        return self.action in AFTER_DATA


async def wait_while_held(fault: Fault[MailFaultSpec]) -> None:
    """Wait as long as a `hang` says; a caller that disconnects cancels the wait."""
    seconds = float(fault.spec.argument) if fault.spec.argument else None
    try:
        await asyncio.wait_for(fault.lifted.wait(), seconds)
    except TimeoutError:
        return
