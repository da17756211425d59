"""The commands `history`, `stats`, `events`, `alerts` and `digest`: query the database and print the answer."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from plex_companion.commands.reports.queries import fetch_answer, fetch_answers, open_archive
from plex_companion.commands.reports.tables import TableLayout, render
from plex_companion.errors import Invalid, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from plex_companion.commands.reports.queries import Archive, Body, ReportQuery
    from plex_companion.settings import Settings

WIDEST = 10_000
PIPE = 100
"""The width of charts in a pipe, unless a name needs more. Tables in a pipe are as wide as their content."""


async def report(settings: Settings, query: ReportQuery, *, demo: bool, as_json: bool) -> None:
    """Print the answer to a command. Plex is not asked, and nothing is written to the database.

    Raises:
        SettingsError: the value of a flag is invalid.
        StartError: the database cannot be used.
        ToolError: the requested user or library is unknown or ambiguous.
    """
    async with open_archive(settings, demo=demo) as archive:
        try:
            bodies = [await fetch_answer(archive, query)] if as_json else await fetch_answers(archive, query)
        except Invalid as error:
            raise SettingsError(error.message) from error
        text = _print_json(bodies[0]) if as_json else _draw(query, bodies, archive)
    _print(text)


def _print_json(body: Body) -> str:
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def _draw(query: ReportQuery, bodies: list[Body], archive: Archive) -> str:
    """Render the answer as wide as the terminal, or in a pipe as wide as its content, so that nothing is cut."""
    screen = Console(file=sys.stdout)
    whole = not (screen.is_terminal or "COLUMNS" in os.environ)
    if not whole:
        width = screen.width
    elif query.command == "stats":
        width = PIPE
    else:
        width = WIDEST
    layout = TableLayout(width, archive.now_ms, archive.zone, whole=whole)
    drawn: RenderableType = render(query.command, bodies, layout, narrow_question=query.is_narrow)
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
