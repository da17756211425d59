"""The commands about the past and about the catalogue: query the database and print the answer."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from plex_companion import wording
from plex_companion.commands.reports.archive import open_archive
from plex_companion.commands.reports.catalogue_queries import CATALOGUE_COMMANDS
from plex_companion.commands.reports.catalogue_tables import render_catalogue
from plex_companion.commands.reports.queries import fetch_answer, fetch_answers, fetch_message
from plex_companion.commands.reports.tables import TableLayout, render
from plex_companion.errors import Invalid, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from plex_companion.commands.reports.archive import Archive
    from plex_companion.commands.reports.queries import Body, ReportQuery
    from plex_companion.settings import Settings

WIDEST = 10_000
CHARTS = frozenset({"stats", "storage"})
PIPE = 100
"""The width of charts in a pipe, unless a name needs more. Tables in a pipe are as wide as their content."""


async def report(settings: Settings, query: ReportQuery, *, demo: int, as_json: bool) -> None:
    """Print the answer to a command. Plex is not asked, and nothing is written to the database.

    Raises:
        SettingsError: the value of a flag is invalid.
        StartError: the database cannot be used.
        ToolError: the requested user or library is unknown or ambiguous.
    """
    async with open_archive(settings, demo=demo) as whole:
        archive = whole if query.server is None else await whole.limit_to(query.server)
        each = await _split_by_server(archive, query, as_json=as_json)
        try:
            if query.message is not None:
                text = await fetch_message(archive, query)
            elif as_json:
                text = _print_json(await fetch_answer(archive, query))
            else:
                text = "\n".join([await _describe(label, one, query) for label, one in each])
        except Invalid as error:
            raise SettingsError(error.message) from error
    _print(text)


async def _split_by_server(archive: Archive, query: ReportQuery, *, as_json: bool) -> list[tuple[str, Archive | None]]:
    """Return an archive for each answer, and how its server is called: every server has a catalogue of its own.

    There is none for a server that has not said who it is yet.

    Raises:
        SettingsError: several answers are no JSON document.
    """
    if query.command not in CATALOGUE_COMMANDS or len(archive.states) < 2 or query.play is not None:  # noqa: PLR2004 - one server
        return [("", archive)]
    servers = [state.server for state in archive.states]
    labels = wording.label_servers(servers)
    if as_json:
        names = ", ".join(label for label, server in zip(labels, servers, strict=True) if server)
        raise SettingsError(f"--json needs --server here, because every server has a catalogue of its own: {names}.")
    each = [await archive.limit_to(server.machine_identifier) if server else None for server in servers]
    return list(zip(labels, each, strict=True))


async def _describe(label: str, archive: Archive | None, query: ReportQuery) -> str:
    """Return the answer as text, with the name of its server above if there are several answers."""
    if archive is None:
        return f"{label}\nNo plex-companion has connected to it yet, so nothing of it is known.\n"
    title = f"{label}\n" if label else ""
    return title + _draw(query, await fetch_answers(archive, query), archive)


def _print_json(body: Body) -> str:
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def _draw(query: ReportQuery, bodies: list[Body], archive: Archive) -> str:
    """Render the answer as wide as the terminal, or in a pipe as wide as its content, so that nothing is cut."""
    screen = Console(file=sys.stdout)
    whole = not (screen.is_terminal or "COLUMNS" in os.environ)
    if not whole:
        width = screen.width
    elif query.command in CHARTS:
        width = PIPE
    else:
        width = WIDEST
    layout = TableLayout(width, archive.now_ms, archive.zone, whole=whole)
    drawn: RenderableType = (
        render_catalogue(query.command, bodies[0], layout)
        if query.command in CATALOGUE_COMMANDS
        else render(query.command, bodies, layout, narrow_question=query.is_narrow)
    )
    if whole:
        needed = screen.measure(drawn, options=screen.options.update(width=WIDEST))
        width = max(1, needed.maximum if width == WIDEST else max(PIPE, needed.minimum))
    page = Console(file=io.StringIO(), width=width, force_terminal=screen.is_terminal, highlight=False)
    with page.capture() as captured:
        page.print(drawn)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _print(text: str) -> None:
    try:
        print(text, end="", flush=True)  # noqa: T201 - the answer
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter's flush at exit fails
