"""What stands beside the package: images, units and manifests say what the declarations say."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from pydantic import SecretStr
from support.application import home
from support.deadlines import HANG_SECONDS

from plex_companion import __version__
from plex_companion.cli import build_parser
from plex_companion.commands.setup.hosts import HOSTS
from plex_companion.settings import APP, Settings, format_default, name_variable

if TYPE_CHECKING:
    from pathlib import Path as Folder

ROOT = Path(__file__).parents[1]
SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
BUNDLE: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SHARED_COMPOSE = (ROOT / "contrib" / "compose.chronicle.yaml").read_text(encoding="utf-8")
UNIT = (ROOT / "contrib" / "plex-companion.service").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FIELDS = {name_variable(name): (name, field) for name, field in Settings.model_fields.items()}
PORT = format_default("port")


def variables(text: str) -> set[str]:
    return set(re.findall(r"\b(?:PLEX_[A-Z_]+|READ_ONLY_MODE)\b", text))


@pytest.mark.parametrize(
    "name",
    ["server.json", "manifest.json", "Dockerfile", "compose.yaml", "contrib/compose.chronicle.yaml", "docs/install.md"],
)
def test_every_variable_that_is_named_is_a_setting(name: str) -> None:
    named = variables((ROOT / name).read_text(encoding="utf-8"))
    assert named
    assert named - FIELDS.keys() == set()


def test_every_version_is_the_packages() -> None:
    (image,), (shared,) = [re.findall(r"image: plex-companion:(\S+)", one) for one in (COMPOSE, SHARED_COMPOSE)]
    (package,) = SERVER["packages"]
    assert {SERVER["version"], package["version"], BUNDLE["version"], image, shared} == {__version__}


# For the registry of MCP servers


def test_the_registry_is_told_the_packages_name_and_how_to_start_it() -> None:
    (package,) = SERVER["packages"]
    assert (package["registryType"], package["identifier"], package["transport"]) == (
        "pypi",
        PROJECT["name"],
        {"type": "stdio"},
    )
    assert "registryBaseUrl" not in package
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/plex-companion", SERVER["name"])
    assert f"<!-- mcp-name: {SERVER['name']} -->" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(SERVER["description"]) <= 100
    assert SERVER["$schema"].startswith("https://static.modelcontextprotocol.io/schemas/")


def test_the_registry_is_told_of_variables_as_the_settings_declare_them() -> None:
    for one in SERVER["packages"][0]["environmentVariables"]:
        name, field = FIELDS[one["name"]]
        assert one["description"] == field.description
        assert one.get("isSecret", False) is ("SecretStr" in str(field.annotation))
        assert one.get("default", "") == format_default(name)
        assert one.get("isRequired", False) is (one["name"] in {"PLEX_URL", "PLEX_TOKEN"})


# For Claude Desktop


def test_the_bundle_starts_the_program_that_the_package_installs() -> None:
    server = BUNDLE["server"]
    assert (ROOT / server["entry_point"]).is_file()
    arguments = server["mcp_config"]["args"]
    program = arguments.index(APP)
    assert APP in PROJECT["scripts"]
    assert build_parser().parse_args(arguments[program + 1 :]).command == "serve"
    assert BUNDLE["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]


def test_the_bundle_asks_for_each_variable_once_and_hides_what_is_secret() -> None:
    env = BUNDLE["server"]["mcp_config"]["env"]
    asked = BUNDLE["user_config"]
    assert {text.removeprefix("${user_config.").removesuffix("}") for text in env.values()} == asked.keys()
    for name, key in env.items():
        field = FIELDS[name][1]
        question = asked[key.removeprefix("${user_config.").removesuffix("}")]
        assert question.get("sensitive", False) is ("SecretStr" in str(field.annotation))
    assert asked["read_only"]["default"] is True


def test_the_bundle_leaves_out_what_is_not_run() -> None:
    ignored = (ROOT / ".mcpbignore").read_text(encoding="utf-8").split()
    assert {"tests/", ".git/", ".*"} <= set(ignored)
    needed = {"plex_companion", "migrations", "pyproject.toml", "README.md", "LICENSE", "manifest.json"}
    assert {entry.rstrip("/") for entry in ignored} & needed == set()


# For containers


def image() -> dict[str, str]:
    """The environment of the finished image."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", last, re.MULTILINE)
    return dict(re.findall(r"([A-Z_]+)=(\S+)", block))


def test_the_image_is_built_on_one_pinned_python_and_runs_as_nobody_in_particular() -> None:
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-\S+$", DOCKERFILE, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases == ["python:${PYTHON}"] * 2
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 1000
    assert len(re.findall("--require-hashes", DOCKERFILE)) == 2


def test_everything_the_image_is_built_from_is_let_through() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line.startswith("!")}
    assert copied == let
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_images_settings_are_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    given = image()
    for name in variables(DOCKERFILE):
        monkeypatch.setenv(name, given[name])
    settings = Settings.load()
    assert (settings.transport, settings.host) == ("http", "0.0.0.0")  # noqa: S104 - inside a container
    assert str(settings.database).startswith(given["HOME"])
    assert re.search(rf"^VOLUME {given['HOME']}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(settings.port)] == [PORT]


def test_the_image_starts_what_the_program_takes() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (\[.+\])$", DOCKERFILE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert json.loads(entry) == [APP]
    assert build_parser().parse_args(json.loads(command)).command == "serve"


async def test_the_images_health_check_needs_no_token(tmp_path: Folder) -> None:
    (address,) = re.findall(r"urlopen\('(\S+)'", DOCKERFILE)
    assert f":{PORT}/" in address
    async with home(tmp_path, token=SecretStr("a-token-for-this-test")) as it:
        path = address.partition(f":{PORT}")[2]

        def ask() -> int:
            with urllib.request.urlopen(f"{it.url}{path}", timeout=HANG_SECONDS) as answer:  # noqa: S310 - ours
                return int(answer.status)

        assert await anyio.to_thread.run_sync(ask) == 200


def test_compose_publishes_the_port_to_this_machine_and_keeps_the_data() -> None:
    assert re.findall(r'^ +- "([\d.:]+)"$', COMPOSE, re.MULTILINE) == [f"127.0.0.1:{PORT}:{PORT}"]
    (mounted,) = re.findall(r"^ +- data:(\S+)$", COMPOSE, re.MULTILINE)
    assert mounted == image()["HOME"]
    assert "env_file: .env" in COMPOSE
    assert "\t" not in COMPOSE


# For systemd


def test_the_unit_starts_the_program_where_installers_put_it_on_the_usual_port() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read_string(UNIT)
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program == f"%h/.local/bin/{APP}"
    flags = build_parser().parse_args(arguments)
    assert (flags.command, flags.transport, str(flags.port)) == ("serve", "http", PORT)
    assert unit["Install"]["WantedBy"] == "default.target"


# What people are told to type


@pytest.mark.parametrize("name", ["README.md", "docs/install.md"])
def test_every_command_that_is_shown_is_one_the_program_takes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    shown += re.findall(r"`((?:uvx|pipx run) [^`]*)`", text)
    programs = [shlex.split(line) for line in shown if APP in line]
    assert programs
    for words in programs:
        assert build_parser().parse_args(words[words.index(APP) + 1 :]).command


def test_every_host_that_is_shown_is_one_that_is_known() -> None:
    shown = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert [host.title for host in HOSTS.values() if f"| {host.title} |" not in shown] == []
    assert [name for name in HOSTS if f"`{name}`" not in shown] == []
    assert build_parser().parse_args(["install", "--host", next(iter(HOSTS))]).ai_host in HOSTS


@pytest.mark.parametrize("target", ["run", "test"])
def test_make_says_what_it_does_the_first_time_and_how_long_it_takes(target: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make here")
    command = [make, "--dry-run", "--no-print-directory", target, f"VENV={tmp_path / 'venv'}"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)  # noqa: S603 - our own command
    lines = planned.stdout.splitlines()
    said = [line for line in lines if line.startswith("echo ")]
    assert re.search(r"Installing \d+ pinned packages.*minutes", planned.stdout)
    assert lines.index(said[0]) < next(number for number, line in enumerate(lines) if " -m venv " in line)
    for number, line in enumerate(lines):
        if " -m pip " in line:
            assert lines[number - 1].startswith("echo ") or " -m pip " in lines[number - 1]
