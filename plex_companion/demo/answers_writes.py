"""Changes by hand: editing, deleting, playlists, collections, artwork; each is announced as Plex announces it."""

from __future__ import annotations

ROUTES: tuple[()] = ()
