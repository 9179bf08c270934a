"""Settings: from the environment or from files, a service's own before everybody's, all problems at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import Field

from hoop_platform.clock import Clock
from hoop_platform.config import Settings, SettingsMissing, with_database

GOOD = {"DATABASE_URL": "postgresql://u:p@h:5/postgres?sslmode=off", "KAFKA_BOOTSTRAP": "k:9092"}


class TeaSettings(Settings):
    cups: int = Field(2, ge=1)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in TeaSettings.model_fields:
        for prefix in ("", "TEA_", "TEA_ROOM_"):
            for suffix in ("", "_FILE"):
                monkeypatch.delenv(f"{prefix}{name.upper()}{suffix}", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_each_service_has_a_database_of_its_name(environment: pytest.MonkeyPatch) -> None:
    found = TeaSettings.of("tea-room")
    assert found.database_url.get_secret_value() == "postgresql://u:p@h:5/tea_room?sslmode=off"
    environment.setenv("TEA_ROOM_DATABASE_URL", "postgresql://u:p@h:5/other")
    assert TeaSettings.of("tea-room").database_url.get_secret_value().endswith("/other")


def test_a_service_s_own_setting_wins(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CUPS", "3")
    assert TeaSettings.of("tea-room").cups == 3
    environment.setenv("TEA_ROOM_CUPS", "4")
    assert TeaSettings.of("tea-room").cups == 4
    assert TeaSettings.of("tea").cups == 3
    assert TeaSettings.of("tea-room", cups=5).cups == 5


def test_a_setting_may_lie_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As secrets do that are mounted into a container."""
    (tmp_path / "key").write_text("  sealed\n")
    environment.setenv("DATA_KEY_FILE", str(tmp_path / "key"))
    assert TeaSettings.of("tea").data_key.get_secret_value() == "sealed"
    environment.setenv("DATA_KEY", "open")
    assert TeaSettings.of("tea").data_key.get_secret_value() == "open"


def test_all_problems_are_listed_at_once_and_no_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "mysql://user:canary@host/db")
    environment.setenv("CUPS", "0")
    environment.setenv("HTTP_PORT", "a door")
    environment.delenv("KAFKA_BOOTSTRAP")
    with pytest.raises(SettingsMissing) as problems:
        TeaSettings.of("tea")
    text = str(problems.value)
    for name in ("DATABASE_URL", "CUPS", "HTTP_PORT", "KAFKA_BOOTSTRAP"):
        assert f"  {name}: " in text
    assert "canary" not in text
    assert problems.value.code == 3


def test_a_file_that_is_not_there_is_one_of_the_problems(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATA_KEY_FILE", "/nowhere/key")
    environment.setenv("CUPS", "0")
    with pytest.raises(SettingsMissing) as problems:
        TeaSettings.of("tea")
    assert "DATA_KEY_FILE: /nowhere/key cannot be read" in str(problems.value)
    assert "CUPS: " in str(problems.value)


def test_an_empty_setting_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    """Compose files and charts write `NAME: ""` for what is not set."""
    environment.setenv("CUPS", "")
    environment.setenv("TEA_CUPS", "")
    assert TeaSettings.of("tea").cups == 2


def test_what_is_not_ours_is_ignored(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEA_SUGAR", "7")
    assert TeaSettings.of("tea").cups == 2


def test_settings_show_no_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATA_KEY", "canary")
    found = TeaSettings.of("tea")
    assert "canary" not in f"{found!r} {found}"
    assert "u:p@" not in f"{found!r} {found}"


@pytest.mark.parametrize(
    ("dsn", "other"),
    [
        ("postgresql://h/a", "postgresql://h/b"),
        ("postgresql://h", "postgresql://h/b"),
        ("postgresql://u:p%2Fw@h:1/a?x=y", "postgresql://u:p%2Fw@h:1/b?x=y"),
        ("postgres://h:1/?x=/y", "postgres://h:1/b?x=/y"),
    ],
)
def test_the_same_server_another_database(dsn: str, other: str) -> None:
    assert with_database(dsn, "b") == other


def test_a_shared_file_moves_everybody_s_clock(tmp_path: Path) -> None:
    """Seconds, added to the time of the system; without the file it is that time."""
    file = tmp_path / "offset"
    clock, system = Clock(file), Clock()
    assert abs(clock.now() - system.now()) < timedelta(seconds=1)
    file.write_text("86400.5\n")
    ahead = clock.now() - system.now()
    assert timedelta(seconds=86399) < ahead < timedelta(seconds=86401)
    assert clock.now().tzinfo is UTC
    file.write_text("")
    assert abs(clock.now() - system.now()) < timedelta(seconds=1)
    assert isinstance(system.now(), datetime)
