"""Parameters that several tools of the catalogue share, each with the description that a model reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Viewer = Annotated[str, Field(description="User name or id.")]
Most = Annotated[int, Field(ge=1)]
CatalogueCursor = Annotated[str, Field(description="next_cursor of the previous answer.")]
