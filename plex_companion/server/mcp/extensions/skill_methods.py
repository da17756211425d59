"""The extension Skills (`io.modelcontextprotocol/skills`, SEP-2640): methods that list skills, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.extension import Extension, MethodBinding
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, RequestParams, Resource
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.context import ServerRequestContext

    from plex_companion.skills.skill_files import Skill

MARKDOWN = "text/markdown"
_CACHING = {"ttlMs": 300_000, "cacheScope": "public"}
"""Custom methods get no cache hints from the SDK, and both are required here."""


class ListSkillsParams(RequestParams):
    """The parameters of `skills/list`."""

    cursor: str | None = None


class GetSkillParams(RequestParams):
    """The parameters of `skills/get`."""

    uri: str


class SkillsExtension(Extension):
    """Serves `skills/list` and `skills/get`. Files are read with `resources/read`."""

    identifier = "io.modelcontextprotocol/skills"

    def __init__(self, skills: Sequence[Skill]) -> None:
        self._skills = skills

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods, which are defined for 2026-07-28 and later only."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("skills/list", ListSkillsParams, self._list, versions),
            MethodBinding("skills/get", GetSkillParams, self._get, versions),
        ]

    async def _list(self, _: ServerRequestContext[Any, Any], params: ListSkillsParams) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "There is only one page of skills, so no cursor is valid.")
        return {"skills": [_describe_skill(skill) for skill in self._skills], **_CACHING}

    async def _get(self, _: ServerRequestContext[Any, Any], params: GetSkillParams) -> dict[str, Any]:
        found = [skill for skill in self._skills if skill.uri == params.uri]
        if not found:
            raise MCPError(INVALID_PARAMS, "No skill has this URI. See skills/list.", {"uri": params.uri[:100]})
        return {"skill": _describe_skill(found[0]), **_CACHING}


def read_skill(skills: Sequence[Skill], uri: str) -> ReadResourceContents | None:
    """Return the file of a skill, or `None` if the URI is not that of one."""
    for skill in skills:
        if skill.uri == uri:
            return ReadResourceContents(content=skill.text, mime_type=MARKDOWN)
    return None


def build_skill_resource(skill: Skill) -> Resource:
    """Build the entry of a skill in `resources/list`, named as in its frontmatter."""
    return Resource(
        uri=skill.uri, name=skill.name, description=skill.description, mime_type=MARKDOWN, size=len(skill.content)
    )


def _describe_skill(skill: Skill) -> dict[str, Any]:
    file = {"uri": skill.uri, "digest": skill.digest, "size": len(skill.content)}
    return {"uri": skill.uri, "frontmatter": skill.frontmatter, "resources": [file]}
