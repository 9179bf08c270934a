"""Reading whole topics: from the beginning, up to the given offsets, not a record further."""

from noted import Noted, note

from hoop_platform.ids import new_id
from hoop_platform.kafka.log_reader import open_log_reader
from local.testing.events import publish


async def test_it_reads_to_the_ends_and_goes_on_from_there(
    kafka_bootstrap: str, noted: type[Noted]
) -> None:
    """What was there when the ends were asked for comes first; what came later, with the next ends."""
    await publish(kafka_bootstrap, *(note(noted, new_id(), 1, "early") for _ in range(20)))
    async with open_log_reader(kafka_bootstrap, [noted.topic]) as reader:
        ends = await reader.end_offsets()
        assert sum(ends.values()) == 20
        await publish(kafka_bootstrap, *(note(noted, new_id(), 1, "late") for _ in range(10)))
        early = [r async for _, records in reader.read_until(ends) for r in records]
        assert len(early) == 20
        assert all(b"early" in (r.value or b"") for r in early)
        assert reader.positions == ends
        later = await reader.end_offsets()
        late = [r async for _, records in reader.read_until(later) for r in records]
        assert len(late) == 10
        assert all(b"late" in (r.value or b"") for r in late)
        assert [r async for _, records in reader.read_until(later) for r in records] == []
