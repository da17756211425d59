"""Parameters that several tools share, each with the description that a model reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plex_companion.tools.declare import Id

LibraryName = Annotated[Id, Field(description="Library name or id.")]
MediaTitle = Annotated[str, Field(description="Title, if media_id is unknown.")]
MediaId = Annotated[Id, Field(description="rating_key from media_search; beats the title.")]
Username = Annotated[str, Field(description="Username, title or e-mail.")]
UserId = Annotated[Id, Field(description="plex.tv id; beats username.")]
PlaylistTitle = Annotated[str, Field(description="Title, if playlist_id is unknown.")]
PlaylistId = Annotated[Id, Field(description="rating_key from playlist_list; beats the title.")]
CollectionTitle = Annotated[str, Field(description="Title, if collection_id is unknown.")]
CollectionId = Annotated[Id, Field(description="ID from collection_list; beats the title.")]
ItemTitles = Annotated[list[str], Field(description="Exact titles.")]
ItemIds = Annotated[list[Id], Field(description="rating_keys of items.")]
ClientName = Annotated[Id, Field(description="Player name or machine identifier.")]
Confirm = Annotated[bool, Field(description="Set it only after the user agreed and the client could not ask.")]
