"""Collections as rows of a library: selected, sorted and mixed with the items as Plex does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from plex_companion.demo.household.model import DemoItem
from plex_companion.demo.query.filter_groups import parse_groups
from plex_companion.demo.query.filtering import FieldReader, match_condition, sort_items

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoCollection, DemoUser
    from plex_companion.demo.query.filtering import Params
    from plex_companion.demo.server_state import ServerState

FIELDS = frozenset({"title", "titleSort", "contentRating", "summary", "guid", "id", "index", "label", "addedAt", "updatedAt",
                    "rating", "audienceRating", "userRating", "lastRatedAt"})  # fmt: skip
"""The fields that collections can be filtered by."""
HIDDEN, HIDES_ITEMS = 0, 1
"""Plex's collection modes: not shown in the library; shown instead of its items."""


def build_guid(found: DemoCollection) -> str:
    """Return the guid of a collection."""
    return f"collection://demo-{found.key}"


def build_item(server: ServerState, found: DemoCollection) -> DemoItem:
    """Return a row that can be compared and sorted as items are."""
    return DemoItem(
        found.key, "collection", found.section, found.title, found.added_at, found.updated_at, title_sort=found.title_sort,
        index=server.get_tag_id("Collection", found.title), guid=build_guid(found), summary=found.summary,
        content_rating=found.content_rating, rating=found.rating, audience_rating=found.audience_rating,
        tags={"Label": found.labels},
    )  # fmt: skip


def find_collections(server: ServerState, user: DemoUser, section: str, params: Params) -> list[DemoCollection]:
    """Return the collections of a section that a query selects, sorted."""
    reader, tests = FieldReader(server, user), parse_groups(params, FIELDS)
    rows = [build_item(server, row) for row in server.collections.values() if row.section == section]
    matching = [row for row in rows if tests.holds(partial(match_condition, reader, row))]
    return [server.collections[row.key] for row in sort_items(reader, matching, dict(params).get("sort", "titleSort"))]


def mix_in_collections(
    server: ServerState, user: DemoUser, section: str, items: list[DemoItem], sort: str
) -> list[DemoItem]:
    """Return the items together with the collections that the library shows, without the items that those hide."""
    shown = [row for row in server.collections.values() if row.section == section and row.mode != HIDDEN]
    hidden = {key for row in shown if row.mode == HIDES_ITEMS for key in row.items}
    rows = [item for item in items if item.key not in hidden] + [build_item(server, row) for row in shown]
    return sort_items(FieldReader(server, user), rows, sort)
