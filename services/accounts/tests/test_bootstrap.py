"""The demonstration accounts: created once, found again, repaired when something is lost."""

import asyncio
import json
import stat
import sys
from dataclasses import asdict

import pytest

from accounts.handlers.bootstrap import bootstrap
from hoop_platform.auth import digest, key_id
from hoop_platform.db.database import UNAVAILABLE


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "state" / "keys.json"


async def outbox(database):
    rows = await database.fetch("SELECT type, subject FROM outbox ORDER BY id")
    return [(row["type"], row["subject"]) for row in rows]


async def test_everything_is_created_and_announced(database, key_file, now):
    demo = await bootstrap(database, key_file=key_file, now=now)
    assert [len(demo.user_ids), len(demo.contact_ids)] == [2, 2]
    assert [len(demo.other_user_ids), len(demo.other_contact_ids)] == [1, 1]
    kinds = [kind for kind, _ in await outbox(database)]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "AccountChanged": 2,
        "LocationChanged": 2,
        "UserChanged": 3,
        "ContactChanged": 3,
        "ApiKeyChanged": 3,
    }


async def test_scopes_and_limits_of_the_keys(database, key_file, now):
    """All keys have all scopes; only the limited key has limits; the plan has none."""
    demo = await bootstrap(database, key_file=key_file, now=now)
    rows = await database.fetch("SELECT * FROM api_key")
    keys = {row["id"]: row for row in rows}
    limits = {
        name: [keys[key_id(getattr(demo, name))][column] for column in ("per_second", "per_day")]
        for name in ("api_key", "limited_api_key", "other_api_key")
    }
    assert limits == {
        "api_key": [None, None],
        "limited_api_key": [10, 10_000],
        "other_api_key": [None, None],
    }
    assert {len(row["scopes"]) for row in rows} == {4}
    assert keys[key_id(demo.other_api_key)]["account_id"] == demo.other_account_id
    assert await database.fetchval("SELECT min(plan) FROM account") == "unlimited"


async def test_a_second_run_changes_nothing(database, key_file, now):
    first = await bootstrap(database, key_file=key_file, now=now)
    before, written = await outbox(database), key_file.stat().st_mtime_ns
    assert await bootstrap(database, key_file=key_file, now=now) == first
    assert await outbox(database) == before
    assert key_file.stat().st_mtime_ns == written


async def test_only_the_owner_can_read_the_keys(database, key_file, now):
    """The file has the whole keys, readable by its owner; the database has digests, never a key."""
    demo = await bootstrap(database, key_file=key_file, now=now)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert json.loads(key_file.read_text()) == json.loads(demo.as_json())
    assert [file.name for file in key_file.parent.iterdir()] == [key_file.name]
    secret = demo.api_key.rpartition("_")[2]
    for table in ("api_key", "outbox"):
        texts = await database.fetch(f"SELECT t::text AS text, * FROM {table} AS t")
        assert texts
        assert not any(secret in str(dict(row)) for row in texts)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"api_key": 7}'])
async def test_lost_keys_are_replaced(database, key_file, now, content):
    """The old keys are revoked, the new ones work; accounts, users and contacts stay."""
    first = await bootstrap(database, key_file=key_file, now=now)
    key_file.unlink() if content is None else key_file.write_text(content)
    second = await bootstrap(database, key_file=key_file, now=now)

    same = {name for name, value in asdict(first).items() if value == asdict(second)[name]}
    assert set(asdict(first)) - same == {"api_key", "limited_api_key", "other_api_key"}
    good = {row["id"]: row for row in await database.fetch("SELECT * FROM api_key WHERE active")}
    tokens = (second.api_key, second.limited_api_key, second.other_api_key)
    assert set(good) == {key_id(token) for token in tokens}
    assert all(good[key_id(token)]["digest"] == digest(token) for token in tokens)
    assert (await outbox(database)).count(("ApiKeyChanged", key_id(first.api_key))) == 2


async def test_a_file_from_another_database_is_replaced(new_database, key_file, now):
    """After `clean` of the data, the keys of the old database are unknown."""
    first = await bootstrap(await new_database("accounts"), key_file=key_file, now=now)
    second = await bootstrap(await new_database("accounts"), key_file=key_file, now=now)
    assert first.account_id != second.account_id
    assert json.loads(key_file.read_text())["api_key"] == second.api_key != first.api_key


async def test_what_was_deleted_is_created_again(database, key_file, now):
    first = await bootstrap(database, key_file=key_file, now=now)
    deleted, remaining = first.contact_ids
    await database.execute("DELETE FROM contact WHERE id = $1", deleted)
    second = await bootstrap(database, key_file=key_file, now=now)
    assert second.contact_ids[0] not in first.contact_ids
    assert second.contact_ids[1] == remaining
    assert second.api_key == first.api_key


async def test_two_concurrent_runs_agree(database, key_file, now):
    results = await asyncio.gather(
        *(bootstrap(database, key_file=key_file, now=now) for _ in range(2))
    )
    assert results[0] == results[1]
    assert await database.fetchval("SELECT count(*) FROM api_key") == 3


async def test_the_file_stays_when_postgres_is_unavailable(database, key_file, now):
    """A failed run leaves the file with the keys of the run before, which still work."""
    await bootstrap(database, key_file=key_file, now=now)
    before = key_file.read_text()
    database.pool.terminate()
    with pytest.raises(UNAVAILABLE):
        await bootstrap(database, key_file=key_file, now=now)
    assert key_file.read_text() == before


async def test_the_command_prints_json(database, key_file):
    """`python -m accounts bootstrap --state FILE --json`, twice: the same object, without Kafka."""
    environment = {"ACCOUNTS_DATABASE_URL": database.dsn, "KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    printed = []
    for _ in range(2):
        command = ["-m", "accounts", "bootstrap", "--state", str(key_file), "--json"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        printed.append(json.loads(out))
    assert printed[0] == printed[1] == json.loads(key_file.read_text())
    assert set(printed[0]) == {
        "account_id",
        "location_id",
        "user_ids",
        "contact_ids",
        "api_key",
        "limited_api_key",
        "other_account_id",
        "other_location_id",
        "other_user_ids",
        "other_contact_ids",
        "other_api_key",
    }
