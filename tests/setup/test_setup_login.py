"""The command `login`: a pin, a person, a server, and a token that nobody sees."""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import dotenv
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_prompter import Scripted

from plex_companion.commands.setup.login import login
from plex_companion.demo import Demo, open_demo
from plex_companion.errors import StartError
from plex_companion.plex.account import Pin, Server
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "owner-Token-0123456789"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token=TOKEN) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PLEX_URL", raising=False)
    monkeypatch.delenv("PLEX_TOKEN", raising=False)
    return tmp_path / "config" / ".env"


def settings_of(demo: Demo, **more: Any) -> Settings:
    return Settings.load({"plex_tv_url": demo.url, **more})


async def sign_in(demo: Demo, scripted: Scripted, path: Path, **more: Any) -> None:
    """Run `login`, and confirm as soon as it shows the page."""
    scripted.hears = lambda said: demo.confirm() if "app.plex.tv/auth" in said else None
    given = {name: more.pop(name) for name in ("plex_url",) if name in more}
    with anyio.fail_after(HANG_SECONDS):
        await login(settings_of(demo, **given), scripted.person(), path, poll_seconds=0.02, **more)


def list_modes(path: Path) -> list[int]:
    """Return the modes of the file and its folder."""
    return [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]


def written(folder: Path) -> list[Path]:
    return list(folder.rglob(".env"))


def another(demo: Demo, name: str, **more: Any) -> dict[str, Any]:
    build_connection = {
        "protocol": "http",
        "address": "127.0.0.1",
        "port": demo.port,
        "uri": demo.url,
        "local": True,
        "relay": False,
    }
    entry = {
        "name": name,
        "clientIdentifier": "another",
        "provides": "server",
        "owned": False,
        "accessToken": "guest-Token-0123456789",
        "connections": [build_connection],
    }
    return {**entry, **more}


async def test_the_owner_ends_up_with_address_and_token_in_a_file_of_their_own(demo: Demo, path: Path) -> None:
    scripted = Scripted()
    await sign_in(demo, scripted, path)
    assert dotenv.dotenv_values(path) == {"PLEX_URL": demo.url, "PLEX_TOKEN": TOKEN}
    assert list_modes(path) == [0o600, 0o700]
    assert scripted.asked == [], "with one server there is nothing to choose"
    assert "Lighthouse" in scripted.transcript


async def test_the_page_holds_a_strong_pin_and_nothing_else_tells_it(
    demo: Demo, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted()
    with caplog.at_level(logging.DEBUG):
        await sign_in(demo, scripted, path)
    (pin,) = demo.state.pins.values()
    assert len(pin.code) == 25
    assert f"code={pin.code}&" in scripted.transcript
    assert "clientID=" in scripted.transcript
    assert TOKEN not in scripted.transcript + caplog.text
    assert [row for row in demo.requests.log if TOKEN in row[1] or row[1].startswith("/?")] == []
    assert ("POST", "/api/v2/pins?strong=true") in demo.requests.log


async def test_addresses_are_knocked_at_without_a_token(demo: Demo, path: Path) -> None:
    demo.state.faults.revoked = False
    await sign_in(demo, Scripted(), path)
    asked = [row for row in demo.requests.log if not row[1].startswith("/api/v2/")]
    assert set(asked) == {("GET", "/identity")}


async def test_with_several_servers_the_person_chooses_and_is_told_whose_they_are(
    demo: Demo, path: Path, tmp_path: Path
) -> None:
    async with open_demo(alive=False) as guest:
        guest.state.machine_identifier = "another"
        demo.state.more_servers = [another(guest, "Attic")]
        scripted = Scripted(["0", "2"])
        await sign_in(demo, scripted, path)
        assert dotenv.dotenv_values(path) == {"PLEX_URL": guest.url, "PLEX_TOKEN": "guest-Token-0123456789"}
        assert "Attic at" in scripted.transcript
        assert "shared with you" in scripted.transcript
        named = Scripted()
        await sign_in(demo, named, tmp_path / ".env", server_names=["lighthouse"])
        assert dotenv.dotenv_values(tmp_path / ".env")["PLEX_URL"] == demo.url
        assert named.asked == []


@pytest.fixture
async def cabin(demo: Demo) -> AsyncIterator[Demo]:
    """A second server of the same account."""
    async with open_demo(alive=False, identifier="another") as running:
        demo.state.more_servers = [another(running, "Cabin", owned=True, accessToken=TOKEN)]
        yield running


@pytest.mark.parametrize("answers", [["all"], ["3", "1,9", "", "1, 2"]])
async def test_all_servers_of_the_account_can_be_chosen_and_share_its_token(
    demo: Demo, cabin: Demo, path: Path, answers: list[str]
) -> None:
    await sign_in(demo, Scripted(answers), path)
    assert dotenv.dotenv_values(path) == {"PLEX_URL": f"{demo.url},{cabin.url}", "PLEX_TOKEN": TOKEN}


@pytest.mark.usefixtures("cabin")
async def test_a_server_of_ones_own_and_a_shared_one_have_a_token_each(demo: Demo, path: Path) -> None:
    demo.state.more_servers[0] |= {"owned": False, "accessToken": "guest-Token-0123456789"}
    await sign_in(demo, Scripted(), path, server_names=["all"])
    assert dotenv.dotenv_values(path)["PLEX_TOKEN"] == f"{TOKEN},guest-Token-0123456789"


async def test_servers_are_named_one_by_one_by_name_or_identifier_in_the_order_that_counts(
    demo: Demo, cabin: Demo, path: Path
) -> None:
    scripted = Scripted()
    await sign_in(demo, scripted, path, server_names=["ANOTHER", "lighthouse"])
    assert dotenv.dotenv_values(path)["PLEX_URL"] == f"{cabin.url},{demo.url}"
    assert scripted.asked == []


async def test_an_address_in_use_is_kept_and_stays_first_so_that_the_database_keeps_its_name(
    demo: Demo, cabin: Demo, path: Path
) -> None:
    used = f"http://localhost:{cabin.port}"
    await sign_in(demo, Scripted(), path, server_names=["all"], known_addresses=[used])
    assert dotenv.dotenv_values(path)["PLEX_URL"] == f"{used},{demo.url}"


async def test_a_server_that_was_asked_for_and_is_away_is_named_and_nothing_is_written(
    demo: Demo, cabin: Demo, path: Path, tmp_path: Path
) -> None:
    await cabin.shut_down()
    with pytest.raises(StartError, match="No answer from here: Cabin"):
        await sign_in(demo, Scripted(), path, server_names=["Lighthouse", "Cabin"])
    assert written(path.parent) == []
    scripted = Scripted()
    await sign_in(demo, scripted, tmp_path / ".env", server_names=["all"])
    assert "not saved: Cabin" in scripted.transcript
    assert dotenv.dotenv_values(tmp_path / ".env")["PLEX_URL"] == demo.url


async def test_a_stranger_at_a_known_address_is_not_taken_for_the_server(demo: Demo, path: Path) -> None:
    demo.state.more_servers = [another(demo, "Attic", owned=True)]
    scripted = Scripted()
    await sign_in(demo, scripted, path)
    assert "Attic" not in scripted.transcript
    with pytest.raises(StartError, match=r"no server answers from here[\s\S]*Attic: http"):
        await sign_in(demo, Scripted(), path, server_names=["Attic"])


async def test_an_address_of_ones_own_is_the_only_one_tried(demo: Demo, path: Path) -> None:
    address = f"http://localhost:{demo.port}"
    await sign_in(demo, Scripted(), path, plex_url=address)
    assert dotenv.dotenv_values(path)["PLEX_URL"] == address
    with pytest.raises(StartError, match=r"http://127\.0\.0\.1:9"):
        await sign_in(demo, Scripted(), path, plex_url="http://127.0.0.1:9")


async def test_a_name_that_no_server_has_is_answered_with_those_there_are(demo: Demo, path: Path) -> None:
    with pytest.raises(StartError, match=r"named Cellar\. Its servers: Lighthouse"):
        await sign_in(demo, Scripted(), path, server_names=["Cellar"])
    assert written(path.parent) == []


async def test_nobody_who_confirms_ends_it_and_nothing_is_written(demo: Demo, path: Path) -> None:
    def expired(said: str) -> None:
        if "app.plex.tv/auth" in said:
            for pin in demo.state.pins.values():
                pin.seconds = -1

    with anyio.fail_after(HANG_SECONDS), pytest.raises(StartError, match="Access was not allowed in time"):
        await login(settings_of(demo), Scripted(hears=expired).person(), path, poll_seconds=0.02)
    assert written(path.parent) == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_stumbling_plex_tv_is_asked_again(demo: Demo, path: Path, status: int) -> None:
    scripted = Scripted()

    def stumbles(said: str) -> None:
        if "app.plex.tv/auth" in said:
            demo.state.faults.cloud_status = status

    scripted.hears = stumbles
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(login, settings_of(demo), scripted.person(), path, poll_seconds=0.02))
            while demo.requests.count("/api/v2/pins/") < 1:  # noqa: ASYNC110 - another task's request
                await anyio.sleep(0.01)
            demo.confirm()
            demo.state.faults.cloud_status = None
    assert dotenv.dotenv_values(path)["PLEX_TOKEN"] == TOKEN


def says_what_can_be_done_by_hand(said: str, path: Path) -> bool:
    expected = (
        "plex.tv can't issue a token",
        "View XML",
        "X-Plex-Token=",
        "PLEX_URL=",
        "PLEX_TOKEN=",
        str(path),
        "doctor",
    )
    return all(word in said for word in expected)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_without_plex_tv_it_says_what_can_be_done_by_hand(demo: Demo, path: Path, status: int) -> None:
    demo.state.faults.cloud_status = status
    with pytest.raises(StartError, match=rf"HTTP {status}") as error:
        await sign_in(demo, Scripted(), path)
    assert says_what_can_be_done_by_hand(str(error.value), path)
    assert written(path.parent) == []


def test_the_command_line_says_it_too_when_plex_tv_does_not_answer_at_all(tmp_path: Path) -> None:
    with socket.socket() as taken:  # nobody listens on it, and nobody else can
        taken.bind(("127.0.0.1", 0))
        plex_tv = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "plex_companion", "login"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLEX_TV_URL": plex_tv},
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=HANG_SECONDS,
        )  # fmt: skip
    assert done.returncode == 1
    assert "connection refused" in done.stderr
    assert "goes on working" not in done.stderr
    (file,) = re.findall(r"into (\S+/\.env):", done.stderr)
    assert says_what_can_be_done_by_hand(done.stderr, Path(file))
    assert written(tmp_path) == []


async def test_an_account_without_servers_is_told_so(demo: Demo, path: Path) -> None:
    demo.state.machine_identifier = ""
    with pytest.raises(StartError, match="no server answers"):
        await sign_in(demo, Scripted(), path)


async def test_a_variable_that_would_win_is_named(demo: Demo, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_TOKEN", "another-Token-0123456789")
    scripted = Scripted()
    await sign_in(demo, scripted, path)
    assert "PLEX_TOKEN is also set in the environment" in scripted.transcript
    assert "another-Token" not in scripted.transcript


async def test_the_command_line_signs_in(demo: Demo, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLEX_TV_URL": demo.url}
    command = [sys.executable, "-m", "plex_companion", "login"]
    with anyio.fail_after(HANG_SECONDS):
        async with await anyio.open_process(command, env=environment, cwd=tmp_path) as process:
            while not demo.state.pins:  # noqa: ASYNC110 - another process
                await anyio.sleep(0.02)
            demo.confirm()
            assert process.stderr is not None
            said = b"".join([part async for part in process.stderr]).decode()
            assert await process.wait() == 0, said
    assert TOKEN not in said
    (file,) = written(tmp_path)
    assert dotenv.dotenv_values(file) == {"PLEX_URL": demo.url, "PLEX_TOKEN": TOKEN}


# What plex.tv says, as recorded


def build_connection(
    protocol: str, address: str, *, local: bool, relay: bool = False, port: int = 32400
) -> dict[str, Any]:
    uri = f"https://{address.replace('.', '-')}.abc.plex.direct:{port}"
    return {"protocol": protocol, "address": address, "port": port, "uri": uri, "local": local, "relay": relay}


def test_encrypted_and_near_comes_first_and_the_relay_last() -> None:
    connections = [
        build_connection("https", "203.0.113.9", local=False, relay=True, port=8443),
        build_connection("https", "198.51.100.7", local=False),
        build_connection("https", "192.168.1.10", local=True),
    ]
    server = Server.model_validate({"clientIdentifier": "m", "connections": connections})
    assert server.addresses == [
        "https://192-168-1-10.abc.plex.direct:32400",
        "https://198-51-100-7.abc.plex.direct:32400",
        "http://192.168.1.10:32400",
        "https://203-0-113-9.abc.plex.direct:8443",
    ]
    strict = Server.model_validate({"clientIdentifier": "m", "connections": connections, "httpsRequired": True})
    assert "http://192.168.1.10:32400" not in strict.addresses


def test_an_address_of_the_new_kind_is_bracketed() -> None:
    server = Server.model_validate(
        {"clientIdentifier": "m", "connections": [build_connection("https", "fd00::5", local=True)]}
    )
    assert server.addresses[-1] == "http://[fd00::5]:32400"


def test_no_text_form_shows_a_token() -> None:
    pin = Pin.model_validate({"id": 1, "code": "c", "clientIdentifier": "x", "authToken": TOKEN})
    server = Server.model_validate({"clientIdentifier": "m", "accessToken": TOKEN})
    assert TOKEN not in f"{pin!r}{pin}{server!r}{server}{server.model_dump_json()}"
