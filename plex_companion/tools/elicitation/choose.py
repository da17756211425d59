"""Choosing among several matches: a person is asked which one a change is meant for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.plex.xml.attributes import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.plex.lookup import MultipleMatches
    from plex_companion.tools.declare import Caller, Tool

MOST_CHOICES = 10
"""More than that nobody reads in a form: the caller gets the list."""
LONGEST_CHOICE = 120
ANOTHER_NAME = {"media_id": "rating_key"}
"""How some tools call the argument for the id of an item."""


async def choose_match(
    tool: Tool, given: Mapping[str, Any], ambiguous: MultipleMatches, caller: Caller
) -> dict[str, str]:
    """Return the argument that names the match which a person chose; nothing if nobody was asked or none was chosen.

    Only changes are worth a question. Of a read, the model gets the list and can call again.
    """
    argument = _find_argument(tool, ambiguous.argument)
    choices = {
        str(match["rating_key"]): _describe_choice(match) for match in ambiguous.matches if "rating_key" in match
    }
    is_known = argument is not None and (argument == "library_name" or given.get(argument) is None)
    if not is_known or not tool.is_write(given) or not 0 < len(choices) <= MOST_CHOICES:
        return {}
    chosen = await caller.choose(f"{tool.display_title}: which one do you mean?", choices)
    return {str(argument): chosen} if chosen in choices else {}


def _find_argument(tool: Tool, name: str | None) -> str | None:
    names = (name, ANOTHER_NAME.get(name or ""))
    return next((one for one in names if one in tool.parameters), None)


def _describe_choice(match: Mapping[str, Any]) -> str:
    """Return the title of a choice: `Heat (1995), movie in Films`."""
    title = str(match.get("title"))
    above = [str(match[name]) for name in ("artist", "album", "show", "season") if match.get(name)]
    year = f" ({match['year']})" if match.get("year") else ""
    edition = f", {match['edition']}" if match.get("edition") else ""
    library = f" in {match['library']}" if match.get("library") else ""
    kind = f", {match['type']}" if match.get("type") else ""
    return shorten(f"{': '.join([*above, title])}{year}{edition}{kind}{library}", LONGEST_CHOICE) or title
