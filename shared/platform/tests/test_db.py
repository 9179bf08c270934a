"""Postgres as our code sees it: ids and JSON as values, transactions that wake, migrations that go one way."""

import asyncio
import secrets
from base64 import b32hexdecode
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoop_platform import ids
from hoop_platform.config import with_database
from hoop_platform.db import database
from hoop_platform.db.database import UNAVAILABLE, Database, DatabaseGone, notify_after_commit
from hoop_platform.db.migrate import MigrationChanged, OtherVersion, migrate, scripts
from hoop_platform.db.savepoint import SavepointTx
from local.servers.ports import free_ports

ONE_DATABASE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
UUIDS = st.uuids().map(ids.from_uuid)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@ONE_DATABASE
@given(UUIDS, st.lists(UUIDS, max_size=4))
async def test_uuids_are_our_ids(database: Database, one: str, many: list[str]) -> None:
    """In and out, alone and in arrays; Postgres itself holds the very UUID."""
    row = await database.fetchrow("SELECT $1::uuid, $2::uuid[], $1::uuid::text", one, many)
    assert row is not None
    assert [*row] == [one, many, str(UUID(bytes=ids.unspell(one)))]


@given(UUIDS, UUIDS)
def test_ids_sort_as_their_uuids_do(one: str, other: str) -> None:
    assert (one < other) == (ids.unspell(one) < ids.unspell(other))
    assert ids.spell(ids.unspell(one)) == one
    assert b32hexdecode(one.upper() + "======") == ids.unspell(one)
    assert ids.is_id(one)


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-v]{26}", fullmatch=True))
def test_there_is_one_spelling_of_an_id(text: str) -> None:
    """Whatever else decodes to the same bytes is no id: no two texts name one thing."""
    if ids.is_id(text):
        assert ids.spell(ids.unspell(text)) == text
    else:
        with pytest.raises(ValueError, match="26 characters"):
            ids.unspell(text)


def test_new_ids_are_in_the_order_of_their_making() -> None:
    created = [ids.new_id() for _ in range(1000)]
    assert len(set(created)) == 1000
    assert [one[:10] for one in created] == sorted(one[:10] for one in created)


@pytest.mark.parametrize("wrong", ["", "x", "0" * 25, "0" * 27, "0" * 25 + "1", 7, None])
async def test_what_is_no_id_does_not_reach_postgres(database: Database, wrong: object) -> None:
    if wrong is None:
        assert await database.fetchval("SELECT $1::uuid", wrong) is None
        return
    with pytest.raises((asyncpg.DataError, TypeError)):
        await database.fetchval("SELECT $1::uuid", wrong)


@ONE_DATABASE
@given(JSON)
async def test_jsonb_is_values(database: Database, value: Any) -> None:
    assert await database.fetchval("SELECT $1::jsonb", value) == value


async def test_a_commit_wakes_who_waits_and_a_rollback_does_not(database: Database) -> None:
    news = database.subscribe(asyncio.Event())

    async def change_my_mind() -> None:
        async with database.transaction():
            raise KeyError

    with pytest.raises(KeyError):
        await change_my_mind()
    assert not news.is_set()
    async with database.transaction(notify=False):
        pass
    assert not news.is_set()
    async with database.transaction():
        assert not news.is_set()
    assert news.is_set()


async def test_a_signal_wakes_its_subscribers_alone_and_after_the_commit(
    database: Database,
) -> None:
    tea, coffee = (database.subscribe(asyncio.Event(), signal) for signal in ("tea", "coffee"))

    async def change_my_mind() -> None:
        async with database.transaction() as db:
            notify_after_commit(db, "tea")
            raise KeyError

    with pytest.raises(KeyError):
        await change_my_mind()
    async with database.transaction():
        pass
    assert not tea.is_set()
    async with database.transaction(notify=False) as db:
        async with SavepointTx(db).transaction() as inner:
            notify_after_commit(inner, "tea")
        assert not tea.is_set()
    assert tea.is_set()
    assert not coffee.is_set()


async def test_a_signal_without_a_transaction_comes_with_the_end_of_its_use(
    database: Database,
) -> None:
    tea = database.subscribe(asyncio.Event(), "tea")
    async with database.connection() as db:
        await db.execute("SELECT 1")
        notify_after_commit(db, "tea")
        assert not tea.is_set()
    assert tea.is_set()
    tea.clear()
    notify_after_commit(database, "tea")
    assert tea.is_set()


async def _cut(database: Database, connection: database.Tx) -> None:
    await database.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())


async def test_a_connection_that_was_cut_says_unavailable(database: Database) -> None:
    """At the next statement, and at the commit; the pool goes on with a new one."""

    async def cut_before_a_statement() -> None:
        async with database.transaction() as connection:
            await _cut(database, connection)
            await connection.execute("SELECT 1")

    async def cut_before_the_commit() -> None:
        async with database.transaction() as connection:
            await _cut(database, connection)
            await asyncio.sleep(0.1)

    for cut in (cut_before_a_statement, cut_before_the_commit):
        with pytest.raises(UNAVAILABLE):
            await cut()
        assert await database.fetchval("SELECT 1") == 1


async def test_a_pool_that_was_cut_whole_heals(database: Database) -> None:
    """Every idle connection is dead: each may fail one statement, none fails for ever."""
    await asyncio.gather(*(database.fetchval("SELECT pg_sleep(0.05)") for _ in range(8)))
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    failed = 0
    for _ in range(30):
        try:
            await database.fetchval("SELECT 1")
        except UNAVAILABLE:
            failed += 1
    assert failed <= 8
    assert await asyncio.gather(*(database.fetchval("SELECT 1") for _ in range(8))) == [1] * 8


async def test_a_closed_database_says_unavailable(new_database: Any) -> None:
    database: Database = await new_database()
    await database.close()
    with pytest.raises(DatabaseGone):
        await database.fetchval("SELECT 1")


async def test_our_own_mistakes_stay_mistakes(database: Database) -> None:
    """Two statements at once on one connection are a bug: no waiting mends it."""

    async def both() -> None:
        async with database.transaction() as connection:
            await asyncio.gather(connection.fetch("SELECT 1"), connection.fetch("SELECT 1"))

    with pytest.raises(asyncpg.InterfaceError) as caught:
        await both()
    assert not isinstance(caught.value, UNAVAILABLE)


async def test_nothing_is_waited_for_for_ever(database: Database) -> None:
    """A lock that others hold, and a transaction that forgot to end."""
    limits = {
        name: await database.fetchval(f"SHOW {name}")
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    }
    assert limits == {
        "statement_timeout": "8s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "15s",
    }


async def test_a_service_starts_while_postgres_is_away() -> None:
    away = await Database.open(f"postgresql://x@127.0.0.1:{free_ports(1)[0]}/x", name="x")
    with pytest.raises(UNAVAILABLE):
        await away.fetchval("SELECT 1")
    await away.close()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service with migrations; its folder."""
    name = f"teahouse_{secrets.token_hex(4)}"
    folder = tmp_path / name / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("")
    (folder / "0001_tea.sql").write_text("CREATE TABLE tea (name text);")
    (folder / "0002_cup.sql").write_text("CREATE TABLE cup (tea text); SELECT pg_sleep(0.1);")
    (folder / "README.md").write_text("no migration")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture
async def fresh(postgres_dsn: str) -> Any:
    """The address of a database that is not there yet."""
    name = f"hoop_test_{secrets.token_hex(6)}"
    yield with_database(postgres_dsn, name)
    server = await asyncpg.connect(postgres_dsn)
    await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await server.close()


async def test_migrations_are_applied_once_and_in_order(fresh: str, package: Path) -> None:
    name = package.parent.name
    done = await migrate(fresh, name)
    assert done[0] == "hoop_platform.db/migrations/0001_schema.sql"
    assert done[1:3] == [f"{name}/migrations/0001_tea.sql", f"{name}/migrations/0002_cup.sql"]
    assert await migrate(fresh, name) == []
    (package / "0003_pot.sql").write_text("CREATE TABLE pot ();")
    assert await migrate(fresh, name) == [f"{name}/migrations/0003_pot.sql"]


async def test_many_may_migrate_at_once(fresh: str, package: Path) -> None:
    """They wait for each other; each migration is applied by one of them."""
    done = await asyncio.gather(*(migrate(fresh, package.parent.name) for _ in range(5)))
    applied = [name for names in done for name in names]
    assert len(applied) == len(set(applied)) == len(scripts(package.parent.name))


async def test_a_migration_that_was_applied_is_never_edited(fresh: str, package: Path) -> None:
    await migrate(fresh, package.parent.name)
    (package / "0001_tea.sql").write_text("CREATE TABLE tea (name text, price int);")
    with pytest.raises(MigrationChanged, match=r"0001_tea\.sql was applied in another form"):
        await migrate(fresh, package.parent.name)


async def test_a_migration_that_fails_leaves_nothing_half_done(fresh: str, package: Path) -> None:
    """It can be mended and applied; those before it stand."""
    broken = package / "0003_pot.sql"
    broken.write_text("CREATE TABLE pot (); CREATE TABLE tea ();")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(fresh, package.parent.name)
    broken.write_text("CREATE TABLE pot ();")
    done = await migrate(fresh, package.parent.name)
    assert done[0] == f"{package.parent.name}/migrations/0003_pot.sql"


async def test_a_function_is_applied_again_when_its_text_changes(fresh: str, package: Path) -> None:
    """After the migrations, whatever the order of their names; unchanged ones are left alone."""
    name = package.parent.name
    functions = package.parent / "functions"
    functions.mkdir()
    sql = "CREATE OR REPLACE FUNCTION {}() RETURNS int LANGUAGE sql AS 'SELECT {}';"
    (functions / "a_sum.sql").write_text(sql.format("a_sum", "z_price() + count(*)::int FROM tea"))
    (functions / "z_price.sql").write_text(sql.format("z_price", "3"))
    done = await migrate(fresh, name)
    assert done[-2:] == [f"{name}/functions/a_sum.sql", f"{name}/functions/z_price.sql"]
    assert await migrate(fresh, name) == []
    (functions / "z_price.sql").write_text(sql.format("z_price", "4"))
    assert await migrate(fresh, name) == [f"{name}/functions/z_price.sql"]
    connection = await asyncpg.connect(fresh)
    assert await connection.fetchval("SELECT a_sum()") == 4
    await connection.close()


async def test_a_database_of_another_version_is_refused(fresh: str, package: Path) -> None:
    """Migrations were squashed before the first release, so such data cannot be taken over."""
    name = package.parent.name
    await migrate(fresh, name)
    (package / "0002_cup.sql").rename(package / "0002_mug.sql")
    with pytest.raises(OtherVersion, match=rf"{name}/migrations/0002_cup\.sql was applied by"):
        await migrate(fresh, name)


async def test_a_release_before_leaves_a_newer_database_alone(fresh: str, package: Path) -> None:
    """After a rollback all that the older release needs is there, and what it does not know stays."""
    name = package.parent.name
    await migrate(fresh, name)
    (package / "0002_cup.sql").unlink()
    assert await migrate(fresh, name) == []


async def test_who_listens_hears_what_was_committed_and_when_it_is_cut(database: Database) -> None:
    """Payloads come after their commit, none of what was rolled back; a cut is told at once."""
    heard: list[str] = []
    lost = asyncio.Event()
    async with database.listen("news", on_payload=heard.append, on_lost=lost.set) as alive:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_notify('news', 'one')")
            assert await alive()
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.execute("SELECT pg_notify('news', 'never'), 1 / 0")
        await database.execute("SELECT pg_notify('news', 'two')")
        async with asyncio.timeout(5):
            while len(heard) < 2:
                await asyncio.sleep(0.01)
        assert heard == ["one", "two"]
        assert not lost.is_set()
        await database.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        )
        async with asyncio.timeout(5):
            await lost.wait()
        assert not await alive()


async def test_to_end_listening_is_no_loss(database: Database) -> None:
    """`lost` is for what nobody wanted."""
    lost = asyncio.Event()
    async with database.listen("news", on_payload=lambda _: None, on_lost=lost.set) as alive:
        assert await alive()
    await asyncio.sleep(0)
    assert not lost.is_set()
