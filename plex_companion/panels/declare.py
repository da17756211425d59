"""How a panel is declared: an HTML page without anything from elsewhere, and the tool whose answers it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Panel:
    """One page of the extension MCP Apps (SEP-1865). The host shows it in a frame and passes it the tool's answers."""

    uri: str
    title: str
    description: str
    tool: str
    page: Path

    def read_html(self) -> str:
        """The page."""
        return self.page.read_text(encoding="utf-8")
