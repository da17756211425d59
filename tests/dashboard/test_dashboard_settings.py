"""The page of settings: what is set and whence, never a secret; what works; the last lines of the log; the manifest."""

from __future__ import annotations

import logging
import re
import struct
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import SecretStr
from support.application import home
from support.deadlines import HANG_SECONDS

from plex_companion.changes.state import State
from plex_companion.commands.setup.hosts import HOSTS as INSTALLABLE
from plex_companion.dashboard.health_checks import check_broker, check_chronicle, check_database, check_plex
from plex_companion.dashboard.pages.settings_page import HOSTS
from plex_companion.dashboard.recent_log import LINES, keep_recent_log
from plex_companion.dashboard.setting_rows import list_setting_rows
from plex_companion.dashboard.static_files import load_files
from plex_companion.models import Connection
from plex_companion.mqtt.broker_status import BrokerStatus
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TOKEN, BEARER, HOOK = "canary-Tok3n-4815162342", "canary-bearer-4815", "https://hooks.example/canary-hook-2342"
LOG = logging.getLogger("plex_companion.somewhere")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_setting_says_where_it_comes_from_and_later_places_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_file = tmp_path / "config" / "plex-companion" / ".env"
    user_file.parent.mkdir(parents=True)
    user_file.write_text("PLEX_COMPANION_BACKUPS=5\nPLEX_COMPANION_PORT=3005\n")
    (tmp_path / ".env").write_text("PLEX_COMPANION_PORT=3006\nPLEX_COMPANION_LOG_LEVEL=\n")
    monkeypatch.setenv("READ_ONLY_MODE", "false")
    monkeypatch.setenv("PLEX_COMPANION_TIMEZONE", "UTC")
    rows = {row.variable: row for row in list_setting_rows(Settings.load({"timezone": "Europe/Vienna"}))}
    places = {variable: (row.value, row.origin) for variable, row in rows.items() if row.origin}
    assert places == {
        "PLEX_COMPANION_BACKUPS": ("5", ".env in the configuration directory"),
        "PLEX_COMPANION_PORT": ("3006", ".env in the working directory"),
        "READ_ONLY_MODE": ("false", "environment"),
        "PLEX_COMPANION_TIMEZONE": ("Europe/Vienna", "command line"),
    }
    assert rows.keys() == {str(field.validation_alias) for field in Settings.model_fields.values()}


async def test_the_page_shows_that_a_secret_is_set_and_never_the_secret(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "token": SecretStr(BEARER),
        "webhook_urls": (SecretStr(HOOK),),
        "webhook_secret": SecretStr("canary-key-99"),
    }
    async with home(tmp_path, **more) as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        LOG.warning("The token is %s, of canary.person@example.org at 203.0.113.77", BEARER)
        answer = await web.get(f"{it.url}/settings", headers={"authorization": f"Bearer {BEARER}"})
        page = answer.text
        assert answer.status_code == 200
        for secret in (BEARER, HOOK, "canary-key-99", it.demo.token, it.demo.url, "canary.person", "203.0.113.77"):
            assert secret not in page
        for name in ("PLEX_URL", "PLEX_TOKEN", "PLEX_COMPANION_TOKEN", "PLEX_COMPANION_WEBHOOK_URLS"):
            assert name in page
        assert "1, hidden" in page
        assert "The token is hidden, of hidden at hidden" in page
        assert "Plex accepts the token." in page


def test_the_last_lines_of_the_log_are_kept_newest_first_and_no_more() -> None:
    with keep_recent_log([TOKEN]) as kept:
        for number in range(LINES + 5):
            LOG.warning("Line %s with %s", number, TOKEN)
        lines = kept.list_lines()
        assert len(lines) == LINES
        assert lines[0].text == f"Line {LINES + 4} with hidden"
        LOG.error("x" * 10_000)
        assert len(kept.list_lines()[0].text) <= 500
    LOG.warning("Afterwards")
    assert kept.list_lines()[0].text != "Afterwards"


def test_the_hosts_on_the_page_are_those_that_can_be_installed_to() -> None:
    assert dict(HOSTS) == {name: host.title for name, host in INSTALLABLE.items()}


@pytest.mark.parametrize(
    ("connection", "verdicts"),
    [
        (Connection("live", 0), ["good", "good", "good", "good"]),
        (Connection("live", 0, detail="Sessions can't be read"), ["good", "good", "bad", "good"]),
        (Connection("unauthorized", 0), ["good", "bad", "bad"]),
        (Connection("down", 0, detail="connection refused"), ["bad", "unknown", "unknown"]),
        (Connection("offline", 0), ["bad", "unknown", "unknown"]),
    ],
)
def test_checks_say_no_more_than_is_known(connection: Connection, verdicts: list[str]) -> None:
    assert [check.verdict for check in check_plex(State(connection))] == verdicts


@pytest.mark.parametrize(("storage", "verdict"), [("ok", "good"), ("degraded", "bad")])
def test_a_database_that_cannot_be_written_is_said_to_be_so(storage: str, verdict: str) -> None:
    check = check_database(storage, size_bytes=1_000, schema=12, role="listener")
    assert (check.verdict, "1.0 kB" in check.words) == (verdict, True)


@pytest.mark.parametrize(
    ("role", "behind", "problem", "verdict", "words"),
    [
        ("lead", 0, None, "good", "listens to Plex"),
        ("replay", 0, None, "good", "replays the entries"),
        ("replay", 1_200, None, "bad", "lacks 1,200 entries"),
        ("replay", 1, None, "bad", "lacks 1 entry"),
        ("follow", None, None, "good", "has another process"),
        ("lead", 0, "PostgreSQL does not answer", "bad", "PostgreSQL does not answer"),
    ],
)
def test_the_part_of_this_machine_in_the_chronicle_is_said(
    role: str, behind: int | None, problem: str | None, verdict: str, words: str
) -> None:
    check = check_chronicle(role, behind, problem)
    assert (check.verdict, words in check.words) == (verdict, True)


@pytest.mark.parametrize(
    ("broker", "listens", "verdict", "words", "since"),
    [
        (BrokerStatus(), False, "unknown", "The process that listens to Plex", None),
        (BrokerStatus(), True, "unknown", "It is being connected", None),
        (BrokerStatus(connected=True, since=5), True, "good", "It is connected", 5),
        (
            BrokerStatus(since=7, problem="its host is not found"),
            True,
            "bad",
            "not connected: its host is not found",
            7,
        ),
    ],
)
def test_the_connection_to_the_broker_is_said_by_the_process_that_keeps_it(
    broker: BrokerStatus, *, listens: bool, verdict: str, words: str, since: int | None
) -> None:
    check = check_broker(broker, listens=listens)
    assert (check.verdict, words in check.words, check.since) == (verdict, True, since)


def test_a_broker_that_stays_away_is_away_since_it_was_lost() -> None:
    broker = BrokerStatus()
    broker.connect(1)
    broker.lose("the connection was lost", 2)
    broker.lose("nothing listens on that port", 3)
    assert (broker.connected, broker.since, broker.problem) == (False, 2, "nothing listens on that port")


async def test_the_manifest_makes_the_page_installable(tmp_path: Path) -> None:
    async with home(tmp_path) as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        page = (await web.get(it.url)).text
        link = re.search(
            '<link rel="manifest" href="(/manifest.webmanifest[^"]*)" crossorigin="use-credentials">', page
        )
        assert link
        answer = await web.get(f"{it.url}{link[1]}")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"] == "application/manifest+json"
        manifest = answer.json()
        assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
        assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
        for icon in manifest["icons"]:
            picture = await web.get(f"{it.url}{icon['src']}")
            assert picture.headers["content-type"] == "image/png"
            assert "immutable" in picture.headers["cache-control"]
            width, height = struct.unpack(">II", picture.content[16:24])
            assert icon["sizes"] == f"{width}x{height}"


def test_every_icon_is_a_picture_of_its_name() -> None:
    names = [name for name in load_files() if name.startswith("icon") and name.endswith(".png")]
    assert sorted(names) == ["icon-192.png", "icon-512.png", "icon-maskable-512.png"]


async def test_the_page_says_how_to_get_it_onto_a_phone_and_a_wall(tmp_path: Path) -> None:
    async with home(tmp_path / "here") as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        page = (await web.get(f"{it.url}/settings", headers={"accept": "text/html"})).text
    assert "Add to Home Screen" in page
    assert 'href="/?kiosk"' in page
    assert "PLEX_COMPANION_HOST=0.0.0.0" in page
    async with (
        home(tmp_path / "public", public_url="https://plex.example") as it,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
    ):
        page = (await web.get(f"{it.url}/settings", headers={"accept": "text/html"})).text
    assert "Add to Home Screen" in page
    assert "PLEX_COMPANION_HOST=0.0.0.0" not in page
