"""What cannot be a chronicle, or not this machine's, is refused in one sentence, and nothing is written."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.several_machines import Household, household_of_machines, machine
from support.several_processes import rows

from plex_companion.chronicle.append import ChronicleAway
from plex_companion.chronicle.open_chronicle import build_connection
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.errors import (
    ChronicleMismatch,
    ChronicleOfAnotherServer,
    ChronicleRefused,
    CompanionError,
    SettingsError,
    StartError,
)
from plex_companion.models import Moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.postgres import Postgres

    from plex_companion.demo import Demo


@pytest.fixture
async def household(demo: Demo, tmp_path: Path, postgres: Postgres, group: str) -> AsyncIterator[Household]:
    async with household_of_machines(demo, tmp_path, postgres, group) as machines:
        yield machines


def find_cause(error: BaseException) -> CompanionError:
    """The error of ours in what a task group raises."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, CompanionError)
    return error


async def refuse(demo: Demo, folder: Path, dsn: str, group: str, **more: Any) -> CompanionError:
    """Begin a machine that ends at once, and return why."""
    await anyio.Path(folder).mkdir(exist_ok=True)
    with pytest.raises((CompanionError, BaseExceptionGroup)) as raised, anyio.fail_after(HANG_SECONDS):
        async with machine(demo, folder, dsn, group, **more):
            await anyio.sleep_forever()
    found = find_cause(raised.value)
    assert found.message.count(". ") <= 2
    return found


def dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "cache.sqlite3")) as database:
        return list(database.iterdump())


def list_schemas(postgres: Postgres) -> list[Any]:
    return postgres.query("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")


async def lead_once(household: Household, name: str = "first") -> None:
    """Let one machine begin the chronicle, and end it."""
    first = await household.begin(name)
    await first.live()
    identifier = household.demo.state.machine_identifier
    sql = f"SELECT links FROM {household.group}.about"  # noqa: S608 - our own name
    await first.until_soon(lambda: identifier in household.postgres.query(sql)[0][0].values())
    await household.end(name)


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("this is no address", "is not the address of a PostgreSQL database"),
        ("postgresql://user:secret-word@host:port/db", "is not the address of a PostgreSQL database"),
        ("postgresql://user:secret-word@127.0.0.1/db?sslmode=perhaps", "is not the address of a PostgreSQL database"),
        ("http://127.0.0.1:5432/db", "is not the address of a PostgreSQL database"),
        ("host=127.0.0.1 prot=5432 password=secret-word", "is not the address of a PostgreSQL database"),
    ],
)
async def test_an_address_that_is_none_is_refused(demo: Demo, tmp_path: Path, group: str, dsn: str, words: str) -> None:
    error = await refuse(demo, tmp_path, dsn, group)
    assert isinstance(error, SettingsError)
    assert words in error.message
    assert "secret-word" not in error.message


async def test_a_wrong_password_an_unknown_user_and_an_unknown_database_are_refused(
    demo: Demo, tmp_path: Path, postgres: Postgres, group: str
) -> None:
    for dsn, words in (
        (postgres.dsn_of("postgres", password="another-password"), "refuses the password"),
        (postgres.dsn.replace("companion:", "nobody:"), "refuses the password"),
        (postgres.dsn_of("not_there"), "does not have the database"),
        (postgres.dsn + "?sslmode=require", "does not support TLS"),
    ):
        error = await refuse(demo, tmp_path, dsn, group)
        assert isinstance(error, ChronicleRefused)
        assert words in error.message
        assert "another-password" not in error.message
        assert "127.0.0.1" not in error.message


async def test_a_schema_of_another_program_is_left_alone(
    demo: Demo, tmp_path: Path, postgres: Postgres, group: str
) -> None:
    for number, columns in enumerate(("", "program text, format int, note text")):
        name = f"{group}_{number}"
        postgres.query(f"CREATE SCHEMA {name}; CREATE TABLE {name}.about ({columns})")
        before = dump_after_start(demo, tmp_path)
        error = await refuse(demo, tmp_path, postgres.dsn, name)
        assert isinstance(error, SettingsError)
        assert f"The schema {name} in PostgreSQL is another program's." in error.message
        assert postgres.query("SELECT tablename FROM pg_tables WHERE schemaname = %s", name) == [("about",)]
        assert dump(tmp_path) == before


def dump_after_start(demo: Demo, folder: Path) -> list[str]:
    """The rows of a database that was made and not used."""
    settings_for(demo, folder)
    return dump(folder)


async def test_a_chronicle_of_a_newer_version_is_left_alone(household: Household, demo: Demo) -> None:
    await lead_once(household)
    group, postgres = household.group, household.postgres
    postgres.query(f"UPDATE {group}.about SET format = 99")  # noqa: S608 - our own name
    before = dump(household.folder / "first")
    error = await refuse(demo, household.folder / "first", postgres.dsn, group)
    assert isinstance(error, StartError)
    assert "A newer plex-companion wrote the chronicle" in error.message
    assert dump(household.folder / "first") == before


async def test_a_user_that_may_not_create_a_schema_is_told_so(
    demo: Demo, tmp_path: Path, postgres: Postgres, group: str
) -> None:
    postgres.query(f"CREATE ROLE {group} LOGIN PASSWORD 'a-password-of-a-guest'")
    dsn = postgres.dsn.replace("companion:a-password-of-the-tests", f"{group}:a-password-of-a-guest")
    error = await refuse(demo, tmp_path, dsn, group)
    assert isinstance(error, SettingsError)
    assert "cannot be created" in error.message
    assert (group,) not in list_schemas(postgres)


async def test_a_database_with_rows_of_its_own_does_not_join_a_chronicle(household: Household, demo: Demo) -> None:
    await lead_once(household)
    await anyio.Path(household.folder / "second").mkdir()
    with closing(sqlite3.connect(str(settings_for(demo, household.folder / "second").database))) as database, database:
        database.execute("UPDATE about SET value = 'another' WHERE name = 'database'")  # all tests begin with one file
    other = household_of_machines(demo, household.folder, household.postgres, f"{household.group}_2")
    async with other as another:
        await lead_once(another, "second")
    before = dump(household.folder / "second")
    error = await refuse(demo, household.folder / "second", household.postgres.dsn, household.group)
    assert isinstance(error, ChronicleMismatch)
    assert "belongs to another chronicle" in error.message
    assert dump(household.folder / "second") == before


async def test_a_database_that_was_used_without_a_chronicle_begins_one_but_joins_none(
    household: Household, demo: Demo, tmp_path: Path
) -> None:
    await anyio.Path(tmp_path / "old").mkdir()
    for folder in ("old", "older"):
        await anyio.Path(tmp_path / folder).mkdir(exist_ok=True)
        with closing(sqlite3.connect(str(settings_for(demo, tmp_path / folder).database))) as database, database:
            database.execute(
                "INSERT INTO servers (machine_identifier, first_seen_at, last_seen_at) VALUES (?, 1, 1)",
                (demo.state.machine_identifier,),
            )
    await lead_once(household, "old")
    error = await refuse(demo, tmp_path / "older", household.postgres.dsn, household.group)
    assert isinstance(error, ChronicleMismatch)
    assert "has rows of its own that are not in the chronicle" in error.message
    error = await refuse(demo, tmp_path / "new", household.postgres.dsn, household.group)
    assert isinstance(error, ChronicleMismatch)
    assert "This database is new and needs entry 1, and the chronicle begins with 2." in error.message


async def test_a_file_older_than_the_log_says_which_entry_it_needs(household: Household, demo: Demo) -> None:
    await lead_once(household)
    second = await household.begin("second")
    await second.live()
    first = await household.begin("first")
    await first.live()
    await household.end("first")
    await household.end("second")
    (number,) = rows(household.folder / "first", "SELECT number FROM chronicle_position")[0]
    group, postgres = household.group, household.postgres
    postgres.query(
        f"INSERT INTO {group}.chronicle (number, name, body) VALUES (%s, 'a', 'x'), (%s, 'b', 'x')",  # noqa: S608 - our own name
        number + 10,
        number + 11,
    )
    postgres.query(f"DELETE FROM {group}.chronicle WHERE number < %s", number + 10)  # noqa: S608 - our own name
    before = dump(household.folder / "first")
    error = await refuse(demo, household.folder / "first", postgres.dsn, group)
    assert isinstance(error, StartError)
    assert f"has the entries up to {number} and needs entry {number + 1}" in error.message
    assert f"the chronicle begins with {number + 10}" in error.message
    assert dump(household.folder / "first") == before


async def test_a_log_that_was_restored_from_a_backup_is_recognized(household: Household, demo: Demo) -> None:
    await lead_once(household)
    group, postgres, folder = household.group, household.postgres, household.folder / "first"
    (number,) = rows(folder, "SELECT number FROM chronicle_position")[0]
    saved = postgres.query(f"SELECT body FROM {group}.chronicle WHERE number = %s", number)[0][0]  # noqa: S608 - our own name
    postgres.query(f"DELETE FROM {group}.chronicle WHERE number = %s", number)  # noqa: S608 - our own name
    error = await refuse(demo, folder, postgres.dsn, group)
    assert isinstance(error, ChronicleMismatch)
    assert f"has entry {number}, and the chronicle ends with {number - 1}" in error.message
    postgres.query(
        f"INSERT INTO {group}.chronicle (number, name, body) VALUES (%s, 'another', %s)",  # noqa: S608 - our own name
        number,
        saved + b" ",
    )
    error = await refuse(demo, folder, postgres.dsn, group)
    assert isinstance(error, ChronicleMismatch)
    assert f"Entry {number} of the chronicle is another one than in this database" in error.message


async def test_a_chronicle_of_another_household_is_refused(household: Household, postgres: Postgres) -> None:
    await lead_once(household)
    async with open_demo(alive=False, identifier="another-household") as theirs:
        error = await refuse(theirs, household.folder / "theirs", postgres.dsn, household.group)
        assert isinstance(error, ChronicleOfAnotherServer)
        assert "PLEX_COMPANION_CHRONICLE_GROUP" in error.message
        assert "another-household" in error.message
        assert rows(household.folder / "theirs", "SELECT count(*) FROM links") == [(0,)]


async def test_one_household_at_another_address_is_recognized(household: Household, demo: Demo) -> None:
    await lead_once(household)
    elsewhere = demo.url.replace("127.0.0.1", "localhost")
    other = await household.begin("elsewhere", plex_url=elsewhere)
    await other.live()


async def test_a_clock_that_is_an_hour_off_is_refused(
    demo: Demo, tmp_path: Path, postgres: Postgres, group: str
) -> None:
    def shifted(seconds: int) -> Moment:
        now = read_clock()
        return Moment(now.at + seconds * 1000, now.tick)

    for seconds, direction in ((3_600, "ahead of"), (-3_600, "behind")):
        error = await refuse(demo, tmp_path, postgres.dsn, group, now=partial(shifted, seconds))
        assert isinstance(error, ChronicleMismatch)
        found = re.search(rf"is (\d+) seconds {direction} PostgreSQL's", error.message)
        assert found
        assert abs(int(found[1]) - 3_600) < HANG_SECONDS, "but for the time that PostgreSQL took to answer"
    assert (group,) not in list_schemas(postgres)


async def test_an_entry_of_a_newer_version_is_left_to_other_machines(household: Household) -> None:
    await lead_once(household)
    group, postgres = household.group, household.postgres
    (number,) = rows(household.folder / "first", "SELECT number FROM chronicle_position")[0]
    newer = b"plex-companion entry 99\nx"
    postgres.query(
        f"INSERT INTO {group}.chronicle (number, name, body) VALUES (%s, 'newer', %s)",  # noqa: S608 - our own name
        number + 1,
        newer,
    )
    first = await household.begin("first")
    await first.until_soon(lambda: first.companion.chronicle and first.companion.chronicle.problem)
    assert not first.listens
    assert first.companion.chronicle is not None
    assert "has format 99" in str(first.companion.chronicle.problem)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    await first.until_soon(lambda: postgres.query(held) == [(0,)])


async def test_a_postgresql_that_does_not_answer_is_described_without_its_address() -> None:
    for dsn, words in (
        ("postgresql://user:secret-word@127.0.0.1:1/db", "PostgreSQL refuses connections"),
        ("postgresql://user:secret-word@nowhere.invalid/db", "PostgreSQL has a host name that is not known"),
    ):
        connection = build_connection(dsn, "a_group", DEFAULT_CHRONICLE_TIMEOUTS)
        with pytest.raises(ChronicleAway) as raised:
            await connection.open()
        assert str(raised.value) == words
        assert connection.status.problem == words
