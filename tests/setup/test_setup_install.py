"""The command `install`: asks first, keeps a copy, and writes the token nowhere by itself."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dotenv
import platformdirs
import pytest
from pydantic import SecretStr
from support.deadlines import HANG_SECONDS
from support.scripted_prompter import Scripted

from plex_companion.commands.setup.config_files import find_user_dotenv, replace_file, save_settings
from plex_companion.commands.setup.hosts import HOSTS, HostPaths
from plex_companion.commands.setup.install import (
    Installation,
    InstallRequest,
    detect_paths,
    find_own_command,
    install,
    is_temporary,
)
from plex_companion.errors import StartError
from plex_companion.settings import APP, Settings

pytestmark = pytest.mark.slow


NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
TOKEN = "canary-Token-0123456789"
BARE = Settings.model_construct()
KNOWN = Settings.load({"plex_url": "http://den:32400"}).model_copy(update={"plex_token": SecretStr(TOKEN)})


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLEX_URL", raising=False)
    monkeypatch.delenv("PLEX_TOKEN", raising=False)


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths("linux", tmp_path / "home", tmp_path / "config")


@pytest.fixture
def file(paths: HostPaths) -> Path:
    found = HOSTS["cursor"].find_file(paths)
    found.parent.mkdir(parents=True)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def run(
    scripted: Scripted, paths: HostPaths, *, settings: Settings = BARE, yes: bool = False, **requested: object
) -> str | None:
    return attempt(scripted, paths, settings=settings, yes=yes, **requested).text


def attempt(
    scripted: Scripted, paths: HostPaths, *, settings: Settings = BARE, yes: bool = False, **requested: object
) -> Installation:
    asked = InstallRequest(**{"host": "cursor", **requested})  # type: ignore[arg-type]  # as given
    return install(asked, settings, scripted.person(agrees_already=yes), paths, NOW)


def test_the_command_is_this_installation_by_its_absolute_path() -> None:
    command = find_own_command()
    assert Path(command[0]).is_absolute()
    assert Path(command[0]).parent == Path(sys.executable).parent
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=HANG_SECONDS)  # noqa: S603 - our own command
    assert shown.stdout.startswith("plex-companion ")


def test_a_new_file_is_written_after_a_yes_and_is_the_users_alone(paths: HostPaths) -> None:
    scripted = Scripted(["y"])
    assert run(scripted, paths) is None
    file = HOSTS["cursor"].find_file(paths)
    entry = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["plex"]
    assert entry == {"command": find_own_command()[0], "args": [*find_own_command()[1:], "serve"]}
    assert mode(file) == 0o600
    assert "plex-companion login" in scripted.transcript
    assert scripted.asked == [f"Add 'plex' to {file}? [y/N]"]


@pytest.mark.parametrize("answer", ["n", "", "perhaps", "yes please"])
def test_without_a_clear_yes_nothing_is_touched(paths: HostPaths, file: Path, answer: str) -> None:
    file.write_text('{"mine": 1}', encoding="utf-8")
    run(Scripted([answer]), paths)
    assert file.read_text(encoding="utf-8") == '{"mine": 1}'
    assert [one.name for one in file.parent.iterdir()] == ["mcp.json"]


def test_what_was_there_is_kept_as_a_copy_with_its_mode(paths: HostPaths, file: Path) -> None:
    before = '{"mcpServers": {"files": {"command": "npx"}}, "other": [1, 2]}\n'
    file.write_text(before, encoding="utf-8")
    file.chmod(0o640)
    scripted = Scripted(["yes"])
    run(scripted, paths)
    copy = file.with_name("mcp.json.before-plex-companion-20261122T170000Z")
    assert copy.read_text(encoding="utf-8") == before
    assert (mode(copy), mode(file)) == (0o640, 0o640)
    assert str(copy) in scripted.transcript
    assert json.loads(file.read_text(encoding="utf-8"))["mcpServers"].keys() == {"files", "plex"}


def test_a_second_time_there_is_nothing_to_do(paths: HostPaths, file: Path) -> None:
    run(Scripted(["y"]), paths)
    written = file.read_bytes()
    scripted = Scripted()
    run(scripted, paths)
    assert "Nothing was changed" in scripted.transcript
    assert file.read_bytes() == written
    assert len(list(file.parent.iterdir())) == 1


def test_an_entry_of_another_program_is_replaced_only_when_asked_about_by_name(paths: HostPaths, file: Path) -> None:
    file.write_text('{"mcpServers": {"plex": {"command": "uvx", "args": ["plex-mcp-server"]}}}', encoding="utf-8")
    scripted = Scripted(["n"])
    run(scripted, paths)
    assert scripted.asked == [f"Replace the entry 'plex', which starts another program, in {file}? [y/N]"]
    run(Scripted(["y"]), paths, name="films")
    assert json.loads(file.read_text(encoding="utf-8"))["mcpServers"].keys() == {"plex", "films"}


def test_a_file_with_comments_is_left_alone_and_the_entry_is_shown(paths: HostPaths, file: Path) -> None:
    text = '{\n  // by hand\n  "mcpServers": {}\n}'
    file.write_text(text, encoding="utf-8")
    scripted = Scripted()
    shown = run(scripted, paths, settings=KNOWN)
    assert shown is not None
    assert json.loads(shown)["mcpServers"]["plex"]["command"] == find_own_command()[0]
    assert file.read_text(encoding="utf-8") == text
    assert "comments would be lost" in scripted.transcript
    assert TOKEN not in shown + scripted.transcript


@pytest.mark.parametrize("host", HOSTS)
def test_printing_asks_nothing_and_writes_nothing(paths: HostPaths, tmp_path: Path, host: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = run(Scripted(), paths, settings=KNOWN, host=host, printed=True)
    assert shown is not None
    assert TOKEN not in shown
    assert list(json.loads(shown)) == [HOSTS[host].key]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_token_known_to_the_shell_alone_is_kept_for_the_user_when_they_say_so(paths: HostPaths, file: Path) -> None:
    scripted = Scripted(["1", "y"])
    run(scripted, paths, settings=KNOWN)
    assert TOKEN not in file.read_text(encoding="utf-8")
    assert dotenv.dotenv_values(find_user_dotenv()) == {"PLEX_URL": "http://den:32400", "PLEX_TOKEN": TOKEN}
    assert mode(find_user_dotenv()) == 0o600
    assert TOKEN not in scripted.transcript
    again = Scripted()
    run(again, paths, settings=KNOWN)
    assert "Address and token stay in" in again.transcript


def test_it_is_written_into_the_hosts_file_when_they_say_so(paths: HostPaths, file: Path) -> None:
    run(Scripted(["nonsense", "7", "2", "y"]), paths, settings=KNOWN)
    entry = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["plex"]
    assert entry["env"] == {"PLEX_URL": "http://den:32400", "PLEX_TOKEN": TOKEN}
    assert not find_user_dotenv().exists()


@pytest.mark.parametrize(("answers", "yes"), [(["3", "y"], False), ([], True)])
def test_otherwise_it_is_written_nowhere(paths: HostPaths, file: Path, answers: list[str], *, yes: bool) -> None:
    run(Scripted(answers), paths, settings=KNOWN, yes=yes)
    assert TOKEN not in file.read_text(encoding="utf-8")
    assert not find_user_dotenv().exists()


def test_the_demo_needs_no_token(paths: HostPaths, file: Path) -> None:
    scripted = Scripted(["y"])
    run(scripted, paths, settings=KNOWN, demo=True)
    assert json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["plex"]["args"][-2:] == ["serve", "--demo"]
    assert len(scripted.asked) == 1


def test_a_program_in_a_cache_is_called_passing() -> None:
    cache = platformdirs.user_cache_dir()
    assert is_temporary(f"{cache}/uv/archive-v0/abc/bin/plex-companion")
    assert not is_temporary("/home/me/.local/share/pipx/venvs/plex-companion/bin/plex-companion")


def test_a_file_that_cannot_be_read_is_left_alone(paths: HostPaths, file: Path) -> None:
    file.write_bytes(b"\xff\xfe{")
    with pytest.raises(StartError, match=r"not UTF-8 text\. --print"):
        run(Scripted(), paths)
    file.unlink()
    file.mkdir()
    with pytest.raises(StartError, match="can't be read"):
        run(Scripted(), paths)


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}", encoding="utf-8")
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    replace_file(link, '{"a": 1}', NOW)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == '{"a": 1}'


def test_settings_are_kept_among_what_is_there_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".env"
    path.parent.mkdir()
    path.write_text("# mine\nPLEX_TOKEN=old\nREAD_ONLY_MODE=false", encoding="utf-8")
    path.chmod(0o644)
    save_settings(path, {"PLEX_URL": "http://den:32400", "PLEX_TOKEN": "it's \\ odd #1"})
    assert path.read_text(encoding="utf-8").startswith("# mine\n")
    assert dotenv.dotenv_values(path) == {
        "PLEX_TOKEN": "it's \\ odd #1",
        "READ_ONLY_MODE": "false",
        "PLEX_URL": "http://den:32400",
    }
    assert mode(path) == 0o600


def test_what_is_kept_is_what_the_settings_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_settings(find_user_dotenv(), {"PLEX_URL": "http://den:32400", "PLEX_TOKEN": TOKEN})
    settings = Settings.load()
    assert settings.plex_url == "http://den:32400"
    assert settings.plex_token is not None
    assert settings.plex_token.get_secret_value() == TOKEN
    assert find_user_dotenv() == Path(platformdirs.user_config_dir(APP)) / ".env"


def test_this_machines_place_is_below_the_users_home(tmp_path: Path) -> None:
    assert detect_paths().home == tmp_path / "home"


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_the_command_line_asks_at_the_terminal(tmp_path: Path, said: str, code: int) -> None:
    file = tmp_path / "mcp.json"
    command = [sys.executable, "-m", "plex_companion", "install", "--host", "cursor", "--file", str(file)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(  # noqa: S603 - ours
        command,
        input=said,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == code, done.stderr
    assert "[y/N]" in done.stderr
    assert done.stdout == ""
    assert file.exists() is (said == "y\n")
    if not said:
        assert "The question got no answer" in done.stderr


def entry_of(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["plex"]
    return found


def test_writes_and_toolsets_are_in_the_entry_where_they_are_asked_for(paths: HostPaths, file: Path) -> None:
    scripted = Scripted(["y"])
    run(scripted, paths, allow_writes=True, toolsets=("live", "media"))
    assert entry_of(file)["env"] == {"READ_ONLY_MODE": "false"}
    assert entry_of(file)["args"][-3:] == ["serve", "--toolsets", "live,media"]
    assert "can now change Plex" in scripted.transcript


@pytest.mark.parametrize("host", HOSTS)
def test_the_printed_entry_has_them_too(paths: HostPaths, host: str) -> None:
    shown = run(Scripted(), paths, host=host, printed=True, allow_writes=True, toolsets=("live",))
    entry = json.loads(shown or "")[HOSTS[host].key]["plex"]
    assert (entry["env"], entry["args"][-2:]) == ({"READ_ONLY_MODE": "false"}, ["--toolsets", "live"])


def test_allowing_writes_later_keeps_the_variables_that_the_entry_had(paths: HostPaths, file: Path) -> None:
    run(Scripted(["2", "y"]), paths, settings=KNOWN)
    run(Scripted(["3", "y"]), paths, settings=KNOWN, allow_writes=True)
    assert entry_of(file)["env"] == {"PLEX_URL": "http://den:32400", "PLEX_TOKEN": TOKEN, "READ_ONLY_MODE": "false"}


def test_it_is_complete_when_the_entry_is_there_and_only_then(paths: HostPaths, file: Path) -> None:
    assert not attempt(Scripted(["n"]), paths).complete
    assert attempt(Scripted(["y"]), paths).complete
    assert attempt(Scripted(), paths).complete, "it was there already"
    assert attempt(Scripted(), paths, printed=True).complete
    file.write_text("{} // mine", encoding="utf-8")
    assert not attempt(Scripted(), paths).complete


def test_the_command_line_ends_with_1_when_the_entry_must_be_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{ /* mine */ }", encoding="utf-8")
    done = shell(tmp_path, "--file", str(file), "--yes", "--demo", "--allow-writes", "--toolsets", "live,media")
    assert (done.returncode, file.read_text(encoding="utf-8")) == (1, "{ /* mine */ }")
    assert json.loads(done.stdout)["mcpServers"]["plex"]["env"] == {"READ_ONLY_MODE": "false"}
    file.unlink()
    done = shell(tmp_path, "--file", str(file), "--yes", "--demo", "--allow-writes", "--toolsets", "live,media")
    assert (done.returncode, entry_of(file)["args"][-1]) == (0, "live,media")


def test_a_toolset_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    done = shell(tmp_path, "--file", str(file), "--yes", "--demo", "--toolsets", "live,cooking")
    assert (done.returncode, file.exists()) == (2, False)
    assert "No toolset cooking" in done.stderr


def shell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plex_companion", "install", "--host", "cursor", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(  # noqa: S603 - ours
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
        timeout=HANG_SECONDS,
        input="",
    )
