"""Entries in the files of AI hosts: everything that was there stays, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.commands.setup.hosts import (
    HOSTS,
    HostPaths,
    UnsafeEdit,
    find_entry,
    is_ours,
    merge_entry,
    render_snippet,
)

CURSOR, VSCODE = HOSTS["cursor"], HOSTS["vscode"]
ENTRY = CURSOR.build_entry(["/opt/plex-companion", "serve"], {})
OTHER = {
    "mcpServers": {"files": {"command": "npx", "args": ["-y", "files"], "disabled": True}},
    "theme": "dark",
    "n": 1.5,
}
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("name", "system", "expected"),
    [
        ("claude-desktop", "darwin", "settings/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", "settings/Claude/claude_desktop_config.json"),
        ("claude-code", "linux", "home/.claude.json"),
        ("cursor", "win32", "home/.cursor/mcp.json"),
        ("vscode", "darwin", "settings/Code/User/mcp.json"),
    ],
)
def test_each_host_has_its_file(name: str, system: str, expected: str) -> None:
    place = HostPaths(system, Path("/home"), Path("/settings"))
    assert PurePosixPath(HOSTS[name].find_file(place).as_posix()) == PurePosixPath(f"/{expected}")


def test_an_entry_is_what_the_host_expects() -> None:
    assert ENTRY == {"command": "/opt/plex-companion", "args": ["serve"]}
    assert VSCODE.build_entry(["/opt/it"], {"PLEX_URL": "u"}) == {
        "type": "stdio",
        "command": "/opt/it",
        "args": [],
        "env": {"PLEX_URL": "u"},
    }
    assert json.loads(render_snippet(VSCODE, "plex", ENTRY)) == {"servers": {"plex": ENTRY}}


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"mcpServers": {}}'])
def test_an_empty_file_gets_the_entry_alone(text: str) -> None:
    assert json.loads(merge_entry(text, CURSOR, "plex", ENTRY)) == {"mcpServers": {"plex": ENTRY}}


@pytest.mark.parametrize("indent", [2, 4, "\t"])
def test_what_was_there_stays_in_its_order_and_indentation(indent: int | str) -> None:
    text = json.dumps(OTHER, indent=indent) + "\n"
    after = merge_entry(text, CURSOR, "plex", ENTRY)
    whole = json.loads(after)
    assert list(whole) == list(OTHER)
    assert whole["mcpServers"].pop("plex") == ENTRY
    assert whole == OTHER
    without = json.loads(after)
    del without["mcpServers"]["plex"]
    assert json.dumps(without, indent=indent) + "\n" == text


@given(st.dictionaries(st.text(), JSONS, max_size=4))
def test_no_key_of_any_file_is_lost(whole: dict[str, Any]) -> None:
    whole.pop("mcpServers", None)
    after = json.loads(merge_entry(json.dumps(whole), CURSOR, "plex", ENTRY))
    assert after == {**whole, "mcpServers": {"plex": ENTRY}}


def test_an_own_entry_keeps_the_keys_that_ours_does_not_have() -> None:
    before = {
        "command": "/old/bin/plex-companion",
        "args": [],
        "env": {"READ_ONLY_MODE": "false"},
        "autoApprove": ["x"],
    }
    text = json.dumps({"mcpServers": {"plex": before}})
    assert find_entry(merge_entry(text, CURSOR, "plex", ENTRY), CURSOR, "plex") == {**before, **ENTRY}


def test_another_programs_entry_leaves_nothing_behind() -> None:
    text = json.dumps({"mcpServers": {"plex": {"url": "http://elsewhere/mcp"}}})
    assert find_entry(merge_entry(text, CURSOR, "plex", ENTRY), CURSOR, "plex") == ENTRY


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        (ENTRY, True),
        ({"command": "C:\\apps\\plex-companion.exe"}, True),
        ({"command": "python", "args": ["-m", "plex_companion", "serve"]}, True),
        ({"command": "uvx", "args": ["plex-companion"]}, True),
        ({"command": "uvx", "args": ["plex-mcp-server"]}, False),
        ({"command": "not-plex-companion-2"}, False),
        ({"url": "http://127.0.0.1:3001/mcp"}, False),
        ("plex-companion", False),
        (None, False),
    ],
)
def test_an_own_entry_is_known_by_its_program(entry: Any, *, ours: bool) -> None:
    assert is_ours(entry) is ours


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{\n  // mine\n  "mcpServers": {}\n}', r"not plain JSON \(line 2\); comments would be lost"),
        ('{"a": 1,}', "not plain JSON"),
        ("\ufeff{}", "not plain JSON"),
        ("[]", "not a JSON object"),
        ('{"mcpServers": []}', "mcpServers is not a JSON object"),
        ('{"a": 1, "a": 2}', "it contains a key twice"),
        ("[" * 100_000, "nested too deeply|not plain JSON"),
    ],
)
def test_a_file_that_would_lose_something_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnsafeEdit, match=why):
        merge_entry(text, CURSOR, "plex", ENTRY)
