"""What a machine says of its part in the chronicle: as a resource, in the metrics, and to `doctor`."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr
from rich.console import Console
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.postgres import PASSWORD
from support.several_machines import Household, household_of_machines

from plex_companion.chronicle.open_chronicle import INSTALL
from plex_companion.commands.doctor import run_doctor
from plex_companion.demo.demo_settings import open_demo_settings
from plex_companion.metrics import ClientCounts, Metrics
from plex_companion.resources.server import read_server
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.postgres import Postgres
    from support.several_machines import Machine

    from plex_companion.demo import Demo


@pytest.fixture
async def household(demo: Demo, tmp_path: Path, postgres: Postgres, group: str) -> AsyncIterator[Household]:
    async with household_of_machines(demo, tmp_path, postgres, group) as machines:
        yield machines


def read_metrics(one: Machine) -> dict[str, float]:
    """The metrics about the chronicle."""
    metrics = Metrics(one.companion, [], lambda: ClientCounts(0, 0, 0, 0, 0))
    lines = [
        line.rpartition(" ")
        for line in generate_latest(metrics.registry).decode().splitlines()
        if "_chronicle_" in line
    ]
    return {name: float(value) for name, _, value in lines if not name.startswith("#")}


async def examine(demo: Demo, folder: Path, dsn: str, group: str) -> tuple[int, str]:
    """The exit code and the words of `doctor`."""
    settings = settings_for(demo, folder)
    settings = settings.model_copy(update={"chronicle": SecretStr(dsn), "chronicle_group": group})
    written = io.StringIO()
    code = await run_doctor(settings, console=Console(file=written, width=1_000))
    return code, written.getvalue()


async def test_each_machine_says_its_role_and_which_entry_it_has(household: Household) -> None:
    first = await household.begin("first")
    await first.live()
    second = await household.begin("second")
    await second.live()
    beside = await household.begin("beside", folder="second")
    await second.until_soon(lambda: second.number == first.number)
    shown = [(await read_server(one.companion))["chronicle"] for one in (first, second, beside)]
    assert [one["role"] for one in shown] == ["lead", "replay", "follow"]
    assert [one["behind"] for one in shown] == [0, 0, None]
    assert [one["problem"] for one in shown] == [None, None, None]
    assert all(one["number"] > 0 for one in shown)
    assert shown[1]["complete_at"] is not None
    metrics = read_metrics(second)
    assert metrics["plex_companion_chronicle_entry"] == second.number
    assert metrics['plex_companion_chronicle_role{role="replay"}'] == 1
    assert metrics['plex_companion_chronicle_role{role="lead"}'] == 0
    assert (metrics["plex_companion_chronicle_connected"], metrics["plex_companion_chronicle_behind"]) == (1, 0)


async def test_without_a_chronicle_nothing_is_said_of_one(household: Household, demo: Demo, tmp_path: Path) -> None:
    first = await household.begin("first")
    alone = first.companion
    object.__setattr__(alone, "chronicle", None)
    assert (await read_server(alone))["chronicle"] is None
    assert read_metrics(first) == {}
    settings = settings_for(demo, tmp_path / "first")
    written = io.StringIO()
    await run_doctor(settings, console=Console(file=written, width=1_000))
    assert [line.split()[1] for line in written.getvalue().splitlines()[:-1]][-1] == "database"


async def until_nobody_leads(postgres: Postgres) -> None:
    """PostgreSQL frees the lock of a machine that has ended a moment later."""
    with anyio.fail_after(HANG_SECONDS):
        while postgres.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await anyio.sleep(0.02)


async def test_doctor_says_what_is_in_postgresql_and_what_is_wrong(
    household: Household, demo: Demo, tmp_path: Path, postgres: Postgres, group: str
) -> None:
    (tmp_path / "first").mkdir()
    code, words = await examine(demo, tmp_path / "first", postgres.dsn, group)
    assert (code, f"The chronicle {group} begins with the first machine that starts." in words) == (0, True)
    assert postgres.query("SELECT 1 FROM pg_namespace WHERE nspname = %s", group) == []
    first = await household.begin("first")
    await first.live()
    _, words = await examine(demo, tmp_path / "first", postgres.dsn, group)
    assert "PostgreSQL answers. The chronicle has the entries 1 to " in words
    assert "A machine leads." in words
    await household.end("first")
    await until_nobody_leads(postgres)
    code, words = await examine(demo, tmp_path / "first", postgres.dsn, group)
    assert (code, "this machine lacks 0 entries. No machine leads." in words) == (0, True)
    code, words = await examine(demo, tmp_path / "first", postgres.dsn_of("postgres", password="another-one"), group)
    assert (code, "PostgreSQL refuses the password." in words) == (1, True)
    code, words = await examine(demo, tmp_path / "first", postgres.dsn_of("postgres", port=1), group)
    assert (code, "PostgreSQL refuses connections. Until it answers" in words) == (1, True)
    assert "another-one" not in words


def run_without_psycopg(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.modules['psycopg'] = None; from plex_companion.__main__ import main; sys.exit(main())"
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
async def test_without_the_package_the_command_that_installs_it_is_named(demo: Demo, tmp_path: Path) -> None:
    given = ("--plex-url", demo.url, "--plex-token", demo.token, "--database", str(tmp_path / "cache.sqlite3"))
    address = "postgresql://user:secret-word@127.0.0.1/db"
    run = await anyio.to_thread.run_sync(
        partial(run_without_psycopg, "serve", *given, PLEX_COMPANION_CHRONICLE=address)
    )
    assert run.returncode == 2
    assert INSTALL in run.stderr
    assert "secret-word" not in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_without_a_chronicle_nothing_of_it_is_imported() -> None:
    program = "import sys, plex_companion.app; print(sorted(one for one in sys.modules if 'psycopg' in one))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert run.stdout.strip() == "[]"


async def test_neither_the_address_nor_the_password_is_logged_or_shown(
    household: Household, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    first = await household.begin("first")
    await first.live()
    postgres.stop("immediate")
    await first.until_soon(lambda: first.companion.chronicle and first.companion.chronicle.problem)
    shown = f"{await read_server(first.companion)}{read_metrics(first)}{first.companion.settings!r}{caplog.text}"
    postgres.start()
    await first.until_soon(lambda: first.companion.chronicle and not first.companion.chronicle.problem)
    assert "PostgreSQL" in shown
    assert PASSWORD not in shown
    assert not re.search(rf"(?<!\d){postgres.port}(?!\d)", shown), "as a number of its own: longer ones may hold it"
    assert "127.0.0.1" not in str(first.companion.chronicle)


async def test_a_demo_household_writes_to_no_chronicle() -> None:
    async with open_demo_settings(Settings.load({"chronicle": "postgresql://127.0.0.1/db"})) as settings:
        assert settings.chronicle is None
