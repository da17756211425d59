"""Skills as files: name and description in the frontmatter, and instructions that name the tools to call.

Names, frontmatter and URIs follow the MCP extension Skills (SEP-2640) and the Agent Skills format.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from plex_companion.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HERE = Path(__file__).parent
_CALL = re.compile(r"`(\w+)\(")
_FRONTMATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
NAMES = (
    "find-buffering",
    "while-i-was-away",
    "tidy-up-with-care",
    "make-a-rule",
    "plan-a-film-night",
    "year-in-review",
)


@dataclass(frozen=True)
class Skill:
    """One skill. Its file is read when it is first needed."""

    name: str

    @property
    def uri(self) -> str:
        """The URI of its file, which is also that of the skill."""
        return f"skill://plex/{self.name}/SKILL.md"

    @cached_property
    def content(self) -> bytes:
        """The file, byte for byte: the digest is of these bytes."""
        return (_HERE / self.name / "SKILL.md").read_bytes()

    @property
    def text(self) -> str:
        """The file as text."""
        return self.content.decode()

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @cached_property
    def frontmatter(self) -> dict[str, str]:
        """The fields at the beginning of the file. Each is one line of text."""
        found = _FRONTMATTER.match(self.text)
        lines = found[1].splitlines() if found else ()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    @property
    def description(self) -> str:
        """What the skill is for, by which a model chooses it."""
        return self.frontmatter["description"]

    @property
    def instructions(self) -> str:
        """The text without the frontmatter."""
        return _FRONTMATTER.sub("", self.text, count=1).strip()

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The tools that the text calls, in order."""
        return tuple(dict.fromkeys(_CALL.findall(self.instructions)))


SKILLS = tuple(map(Skill, NAMES))


def select_skills(tools: Iterable[str]) -> list[Skill]:
    """Return the skills that need no other than these tools."""
    names = set(tools)
    return [skill for skill in SKILLS if names.issuperset(skill.tools)]


def find_skill(skills: Sequence[Skill], name: str) -> Skill:
    """Return the skill of this name or URI.

    Raises:
        NotFound: there is none; the error lists the names.
    """
    for skill in skills:
        if name in {skill.name, skill.uri}:
            return skill
    known = [skill.name for skill in skills]
    message = f"No skill is called '{name[:100]}'. Skills: {', '.join(known) or 'none'}."
    raise NotFound(message, what="skill", available=known)
