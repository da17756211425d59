"""The commands `history`, `stats`, `events`, `alerts` and `digest`: ask, and print."""

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
"""Columns of a picture in a pipe, where no name needs more; a table takes what it needs there."""


async def report(settings: Settings, question: ReportQuery, *, demo: bool, as_json: bool) -> None:
    """Print the answer to a command. Plex is not asked, and nothing is written anywhere.

    Raises:
        SettingsError: a flag cannot be used.
        StartError: the database cannot be used.
        ToolError: nobody knows what was asked for.
    """
    async with open_archive(settings, demo=demo) as archive:
        try:
            bodies = [await fetch_answer(archive, question)] if as_json else await fetch_answers(archive, question)
        except Invalid as error:
            raise SettingsError(error.message) from error
        text = _print_json(bodies[0]) if as_json else _draw(question, bodies, archive)
    _print(text)


def _print_json(body: Body) -> str:
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def _draw(question: ReportQuery, bodies: list[Body], archive: Archive) -> str:
    """As wide as the terminal; in a pipe as wide as it takes, so that nothing is cut."""
    screen = Console(file=sys.stdout)
    whole = not (screen.is_terminal or "COLUMNS" in os.environ)
    if not whole:
        width = screen.width
    elif question.command == "stats":
        width = PIPE
    else:
        width = WIDEST
    paper = TableLayout(width, archive.now_ms, archive.zone, whole=whole)
    drawn: RenderableType = render(question.command, bodies, paper, narrow_question=question.is_narrow)
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
