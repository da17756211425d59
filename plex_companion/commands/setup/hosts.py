"""The AI hosts: the file in which each lists its MCP servers, and the shape of an entry. Pure: reads and writes no file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class UnsafeEdit(ValueError):
    """Rewriting the file would lose something; the message says what."""


@dataclass(frozen=True, slots=True)
class HostPaths:
    """The base folders of this user. `system` is `sys.platform`: `linux`, `darwin` or `win32`."""

    system: str
    home: Path
    config: Path
    """The settings folder: `~/.config`, `~/Library/Application Support` or `%APPDATA%`."""


@dataclass(frozen=True, slots=True)
class AiHost:
    """One AI host."""

    name: str
    title: str
    key: str
    """The key of the server list in its file."""
    parts: tuple[str, ...]
    """The path of its file, below the home or settings folder."""
    in_home: bool = False
    typed: bool = False
    """Whether an entry has `"type": "stdio"`."""
    afterwards: str = "Restart it to see the tools."

    def find_file(self, paths: HostPaths) -> Path:
        """Return the path of this user's file."""
        return (paths.home if self.in_home else paths.config).joinpath(*self.parts)

    def build_entry(self, command: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
        """Build the entry that starts plex-companion."""
        kind = {"type": "stdio"} if self.typed else {}
        env = {"env": dict(variables)} if variables else {}
        return {**kind, "command": command[0], "args": list(command[1:]), **env}


HOSTS = {
    host.name: host
    for host in (
        AiHost("claude-desktop", "Claude Desktop", "mcpServers", ("Claude", "claude_desktop_config.json"),
             afterwards="Quit Claude Desktop, not only its window, and start it again."),
        AiHost("claude-code", "Claude Code", "mcpServers", (".claude.json",), in_home=True, typed=True,
             afterwards="Claude Code writes this file too, so close it first. Afterwards /mcp lists the server."),
        AiHost("cursor", "Cursor", "mcpServers", (".cursor", "mcp.json"), in_home=True,
             afterwards="Cursor lists it under Settings, MCP."),
        AiHost("vscode", "VS Code", "servers", ("Code", "User", "mcp.json"), typed=True,
             afterwards="Run MCP: List Servers in VS Code, and start it there."),
    )
}  # fmt: skip


def render_snippet(host: AiHost, name: str, entry: Mapping[str, Any]) -> str:
    """Render the JSON to paste into the host's file."""
    return json.dumps({host.key: {name: entry}}, indent=2, ensure_ascii=False)


def find_entry(text: str, host: AiHost, name: str) -> Any:
    """Return the entry of this name in the host's file, or `None`.

    Raises:
        UnsafeEdit: the file is not plain JSON of the expected shape.
    """
    return _get_servers(_parse(text), host).get(name)


def merge_entry(text: str, host: AiHost, name: str, entry: Mapping[str, Any]) -> str:
    """Return the text of the host's file with the entry added, everything else unchanged, and the same indentation.

    If the old entry also starts plex-companion, its additional keys are kept.

    Raises:
        UnsafeEdit: the file has comments, or anything else that would be lost.
    """
    whole = _parse(text)
    servers = _get_servers(whole, host)
    before: Any = servers.get(name)
    servers[name] = _merge_fields(before, entry) if is_ours(before) else entry
    whole[host.key] = servers
    written = json.dumps(whole, indent=_detect_indent(text), ensure_ascii=False)
    return written + ("\n" if text.endswith("\n") or not text.strip() else "")


def _merge_fields(before: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry with the additional keys and environment variables of the one it replaces."""
    variables, others = entry.get("env"), before.get("env")
    env = {"env": {**others, **variables}} if isinstance(variables, dict) and isinstance(others, dict) else {}
    return {**before, **entry, **env}


def is_ours(entry: Any) -> bool:
    """Return whether an entry starts plex-companion, whatever its version or location."""
    if not isinstance(entry, dict):
        return False
    command, arguments = entry.get("command"), entry.get("args")
    words = [command, *(arguments if isinstance(arguments, list) else [])]
    return any(re.search(r"(^|[\\/])plex[-_]companion(\.exe)?$", word) for word in words if isinstance(word, str))


def _parse(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        whole = json.loads(text, object_pairs_hook=_reject_duplicates)
    except RecursionError:
        raise UnsafeEdit("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise UnsafeEdit(f"it is not plain JSON (line {error.lineno}); comments would be lost") from None
    if not isinstance(whole, dict):
        raise UnsafeEdit("it is not a JSON object")
    return whole


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UnsafeEdit("it contains a key twice, and one of them would be lost")
    return result


def _get_servers(whole: dict[str, Any], host: AiHost) -> dict[str, Any]:
    servers = whole.get(host.key, {})
    if not isinstance(servers, dict):
        raise UnsafeEdit(f"its {host.key} is not a JSON object")
    return servers


def _detect_indent(text: str) -> int | str:
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    if found is None:
        return 2
    return "\t" if found[1].startswith("\t") else len(found[1])
