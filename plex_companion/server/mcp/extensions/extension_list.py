"""The extensions that a server declares, by what it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.apps import Apps

from plex_companion.server.mcp.extensions.skill_methods import SkillsExtension
from plex_companion.server.mcp.extensions.task_methods import TasksExtension

if TYPE_CHECKING:
    from mcp.server.extension import Extension

    from plex_companion.server.mcp.interface import ServerInterface


def list_extensions(interface: ServerInterface) -> list[Extension]:
    """Return the extensions that this interface needs."""
    found: list[Extension] = []
    if interface.panels:
        found.append(Apps())
    if interface.skills:
        found.append(SkillsExtension(interface.skills))
    if interface.tasks:
        found.append(TasksExtension(interface.tasks, interface.tools))
    return found
