"""The recorded schemas of the tools, which `make docs` writes, so that no start has to build them.

A line is a tool: name, digest of its declaration, input schema, output schema, with tabs between them. A tool whose
declaration has another digest gets its schemas built from the declaration.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.tools.declare import Tool

PATH = Path(__file__).with_name("schemas.tsv")


@dataclass(frozen=True, slots=True)
class RecordedSchemas:
    """The schemas of one tool."""

    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


def find_recorded(name: str, digest: str) -> RecordedSchemas | None:
    """Return the recorded schemas of a tool; `None` without them, and if its declaration has another digest."""
    recorded, _, schemas = _read_lines().get(name, "").partition("\t")
    if not schemas or recorded != digest:
        return None
    return RecordedSchemas(*map(json.loads, schemas.split("\t")))


@functools.cache
def _read_lines() -> dict[str, str]:
    """Return what is recorded of each tool, by name; nothing if the file cannot be read."""
    try:
        lines = PATH.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError):
        return {}
    return {name: rest for name, _, rest in (line.partition("\t") for line in lines)}


def render_snapshot(tools: Iterable[Tool]) -> str:
    """Return the text of the snapshot. `tools` must not get their schemas from it."""
    lines = (
        (tool.name, tool.digest, encode_json(tool.input_schema), encode_json(tool.output_schema)) for tool in tools
    )
    return "".join("\t".join(line) + "\n" for line in lines)
