"""Panel declarations: a self-contained HTML page, and the tool whose answers it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Panel:
    """One page of the MCP Apps extension (SEP-1865). The host shows it in a frame and passes it the tool's answers."""

    uri: str
    title: str
    description: str
    tool: str
    page: Path

    def read_html(self) -> str:
        """Return the page."""
        return self.page.read_text(encoding="utf-8")
