"""Rows of the catalogue as answers name them. What Plex says of an item is `models.CatalogueItem`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the catalogue of a server is filled, and since when it is as Plex has it."""

    items: int
    """Rows in the catalogue."""
    total: int | None
    """Items that Plex has, as far as it was asked; equal to `items` when complete."""
    complete: bool
    """Whether the first fill of every library has ended."""
    as_of: int | None
    """When the library that was compared longest ago was as Plex has it. Milliseconds."""
    detail: str | None
    """Why a library could not be read."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What fits a question, all pages together."""

    items: int
    size_bytes: int
    """Every file counts once, also where both a show and an episode of it fit."""
