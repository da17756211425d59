"""Writes what other programs rely on, so that a change of it is seen: names on the wire, settings, tables, codes. `make docs`."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sqlite3
import types
import typing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import mcp
from pydantic import SecretStr
from starlette.routing import Mount, Route

from plex_companion import errors, models
from plex_companion.app import open_application
from plex_companion.cli import RUNTIME, USAGE, build_parser
from plex_companion.demo import open_demo
from plex_companion.metrics import ClientCounts, Metrics
from plex_companion.resources.registry import RESOURCES
from plex_companion.settings import Settings
from plex_companion.skills.skill_files import SKILLS
from plex_companion.tools.toolsets import TOOLSETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plex_companion.app import Application

PATH = Path(__file__).parents[1] / "tests" / "wire_contract.json"


def contract() -> str:
    """Return the text of the snapshot: everything that other programs call by name, descriptions aside."""
    return json.dumps(anyio.run(collect), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


async def collect() -> dict[str, Any]:
    """Start a companion on a quiet demo server and ask it for its names."""
    with TemporaryDirectory() as folder:
        database = Path(folder) / "cache.sqlite3"
        async with open_demo(alive=False) as demo:
            settings = Settings.load({"plex_url": demo.url, "plex_tv_url": demo.url, "database": database})
            settings = settings.model_copy(update={"plex_token": SecretStr(demo.token)})
            async with open_application(settings) as application:
                served = {**await protocol(application), **http(application), "tables": tables(database)}
    return {
        **served,
        "settings": {name: field.validation_alias for name, field in Settings.model_fields.items()},
        "commands": commands(build_parser()),
        "exit_codes": {"failed": RUNTIME, "usage": USAGE},
        "error_codes": sorted({error.code for error in subclasses(errors.ToolError)}),
        "results": {
            tool.name: described(typing.get_type_hints(tool.function, localns={"PlexServer": Any})["return"])
            for toolset in TOOLSETS
            for tool in toolset.tools
        },
    }


async def protocol(application: Application) -> dict[str, Any]:
    """Return what an MCP client can list."""
    async with mcp.Client(application.server) as client:
        tools = (await client.list_tools()).tools
        templates = (await client.list_resource_templates()).resource_templates
        prompts = (await client.list_prompts()).prompts
    return {
        "tools": {tool.name: nameless(tool.input_schema) for tool in tools},
        "access": {tool.name: tool.access.value for toolset in TOOLSETS for tool in toolset.tools},
        "toolsets": {toolset.name: [tool.name for tool in toolset.tools] for toolset in TOOLSETS},
        "aliases": {tool.name: sorted(tool.aliases) for set_ in TOOLSETS for tool in set_.tools if tool.aliases},
        "resources": sorted(one.uri for one in RESOURCES if not one.is_family),
        "templates": sorted(one.uri_template for one in templates),
        "skills": [one.uri for one in SKILLS],
        "prompts": {one.name: [[it.name, it.required] for it in one.arguments or []] for one in prompts},
    }


def http(application: Application) -> dict[str, Any]:
    """Return the routes and the metrics of the HTTP application."""
    metrics = Metrics(application.companion, [], lambda: ClientCounts(0, 0, 0, 0, 0))
    return {
        "routes": sorted(pattern(route) for route in application.build_http_app().routes),
        "metrics": {
            family.name: [family.type, sorted({label for sample in family.samples for label in sample.labels})]
            for family in metrics.registry.collect()
            if not family.name.startswith("process_")
        },
    }


def pattern(route: object) -> str:
    """Return the methods and the path of a route."""
    match route:
        case Route(methods=set() as methods, path=path):
            return f"{','.join(sorted(methods))} {path}"
        case Route(path=path):
            return f"* {path}"
        case Mount(path=path):
            return f"mount {path}"
        case _:
            return repr(route)


def tables(database: Path) -> dict[str, list[str]]:
    """Return the columns of every table."""
    connection = sqlite3.connect(database)
    try:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in sorted(names)}
    finally:
        connection.close()


def commands(of: argparse.ArgumentParser) -> dict[str, Any]:
    """Return the options of a command, and the same of the commands below it."""
    found: dict[str, Any] = {}
    for action in of._actions:  # noqa: SLF001 - argparse has no public list
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            found["commands"] = {name: commands(below) for name, below in action.choices.items()}
        elif action.dest != "help":
            found["/".join(action.option_strings) or action.dest] = sorted(map(str, action.choices or []))
    return found


def subclasses(of: type[errors.ToolError]) -> Iterator[type[errors.ToolError]]:
    """Yield a class and every class below it."""
    yield of
    for below in of.__subclasses__():
        yield from subclasses(below)


def nameless(schema: Any) -> Any:
    """Return a JSON schema without descriptions."""
    if isinstance(schema, dict):
        return {
            key: nameless(value)
            for key, value in schema.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [nameless(one) for one in schema] if isinstance(schema, list) else schema


@functools.cache
def described(hint: Any) -> Any:
    """Return the keys of a result, as its type says; `"…"` where a type holds itself, `"any"` for what has no fields."""
    return shape(hint, ())


def shape(hint: Any, above: Sequence[object]) -> Any:
    """Return the fields of a dataclass or of the members of a container."""
    if hint in above:
        return "…"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, localns=vars(models))
        return {field.name: shape(hints[field.name], (*above, hint)) for field in dataclasses.fields(hint)}
    parts = [shape(part, above) for part in typing.get_args(hint) if part is not types.NoneType]
    known = [part for part in parts if part != "any"]
    return known[0] if len(known) == 1 else known or "any"


if __name__ == "__main__":
    PATH.write_text(contract(), encoding="utf-8")
