"""The prompts in a tuple, in the order in which they are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.errors import NotFound
from plex_companion.prompts.choices import HOW_THE_YEAR_WENT, WHAT_CAN_GO, WHAT_TO_WATCH
from plex_companion.prompts.lists import PLAYLIST, WATCHLIST
from plex_companion.prompts.questions import NOW, SERVER_HEALTH, WHILE_AWAY, WHY_BUFFERING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.prompts.declare import Prompt
    from plex_companion.tools.declare import Tool

PROMPTS: tuple[Prompt, ...] = (
    *(NOW, WHILE_AWAY, WHY_BUFFERING, SERVER_HEALTH),
    *(WHAT_TO_WATCH, WHAT_CAN_GO, HOW_THE_YEAR_WENT, WATCHLIST, PLAYLIST),
)


def select_prompts(tools: Iterable[Tool]) -> list[Prompt]:
    """Return the prompts that need no other than these tools."""
    names = {tool.name for tool in tools}
    return [prompt for prompt in PROMPTS if prompt.tools <= names]


def fill_prompt(prompts: Sequence[Prompt], name: str, given: Mapping[str, str]) -> tuple[Prompt, str]:
    """Return the prompt of that name and its text for the model.

    Raises:
        NotFound: no prompt has that name.
        Invalid: an argument is missing or unknown.
    """
    for prompt in prompts:
        if prompt.name == name:
            return prompt, prompt.fill(given)
    known = [prompt.name for prompt in prompts]
    message = f"No prompt is called {name[:100]}. Prompts: {', '.join(known) or 'none'}."
    raise NotFound(message, what="prompt", available=known)


def render_prompt_table() -> str:
    """Return the README table."""
    rows = [f"| `{prompt.name}` | {prompt.description} | {_format_arguments(prompt)} |" for prompt in PROMPTS]
    return "\n".join(["| prompt | asks | arguments |", "|---|---|---|", *rows])


def _format_arguments(prompt: Prompt) -> str:
    return ", ".join(f"`{one.name}`{'' if one.required else '?'}" for one in prompt.arguments)
