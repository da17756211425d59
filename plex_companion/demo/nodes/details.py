"""The parts of items that only current servers send: pictures, colours, slug, theme, reviews."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from plex_companion.demo.item_prefs import hides_seasons, list_changed_prefs
from plex_companion.demo.nodes.tree import Node, Value

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoCollection, DemoItem
    from plex_companion.demo.server_state import ServerState

# The types of `Image` elements and the picture that each shows, by item type.
COVER = (("coverPoster", "thumb"),)
IMAGES = {
    "movie": (*COVER, ("background", "art"), ("clearLogo", "clearLogo"), ("backgroundSquare", "squareArt")),
    "show": (*COVER, ("background", "art"), ("clearLogo", "clearLogo"), ("backgroundSquare", "squareArt")),
    "season": (*COVER, ("background", "art")),
    "episode": (("snapshot", "thumb"), ("background", "art")),
    "artist": (*COVER, ("background", "art")),
    "album": (*COVER, ("background", "art")),
}
COLOURED = frozenset(IMAGES)
CORNERS = ("topLeft", "topRight", "bottomRight", "bottomLeft")
CRITICS = (("Mina Talbot", "The Quay Courier", "fresh"), ("Ansel Rook", "Lamp & Lens", "rotten"))


def build_picture_path(item: DemoItem, kind: str) -> str:
    """Return the path of a picture; it changes when the item does."""
    return f"/library/metadata/{item.key}/{kind}/{item.updated_at}"


def build_slug(item: DemoItem) -> str:
    """Return the title as plex.tv writes it in addresses."""
    return re.sub(r"[^\w]+", "-", item.title.casefold().replace("'", "")).strip("-")


def build_image_nodes(server: ServerState, item: DemoItem) -> list[Node]:
    """Build the `Image` elements of an item. A picture that was removed has none."""
    return [
        Node("Image", {"alt": item.title, "type": kind, "url": build_picture_path(item, picture)})
        for kind, picture in IMAGES.get(item.type, ())
        if server.chosen_pictures.get((item.key, f"{picture}s".replace("thumbs", "posters"))) != ""
    ]


def build_colour_nodes(item: DemoItem) -> list[Node]:
    """Build the colours behind an item's page. One item always gets the same."""
    if item.type not in COLOURED:
        return []
    colours = (f"{zlib.crc32(f'{item.key}{corner}'.encode()) & 0xFFFFFF:06x}" for corner in CORNERS)
    return [Node("UltraBlurColors", dict(zip(CORNERS, colours, strict=True)))]


def build_theme_path(server: ServerState, item: DemoItem | DemoCollection | None) -> str | None:
    """Return the path of the theme music of a show, or of an item or collection that was given one."""
    if item is None:
        return None
    given = server.chosen_pictures.get((item.key, "themes"))
    has_theme = given if given is not None else item.key in server.items and server.items[item.key].type == "show"
    return f"/library/metadata/{item.key}/theme/{item.updated_at}" if has_theme else None


def describe_extras(server: ServerState, item: DemoItem) -> dict[str, Value]:
    """Return the attributes that current servers add: slug, theme, where a rating comes from, settings that were changed."""
    parent = server.items.get(item.parent or "")
    grand = server.items.get(parent.parent or "") if parent else None
    facts: dict[str, Value] = {"theme": build_theme_path(server, item), **list_changed_prefs(server, item)}
    if item.type in {"movie", "show"}:
        facts["slug"] = build_slug(item)
        facts["primaryExtraKey"] = f"/library/metadata/{item.extras[0]}" if item.extras else None
        facts["ratingImage"] = "rottentomatoes://image.rating.ripe" if item.rating else None
    if item.audience_rating:
        movie = item.type == "movie"
        facts["audienceRatingImage"] = "rottentomatoes://image.rating.upright" if movie else "themoviedb://image.rating"
    if item.type == "season" and parent:
        facts |= {
            "parentSlug": build_slug(parent),
            "parentStudio": parent.studio or None,
            "parentTheme": build_theme_path(server, parent),
        }
    if item.type == "episode" and grand:
        hidden = True if hides_seasons(server, grand) else None
        facts |= {
            "grandparentSlug": build_slug(grand),
            "grandparentTheme": build_theme_path(server, grand),
            "skipParent": hidden,
        }
    return facts


def build_rating_nodes(item: DemoItem) -> list[Node]:
    """Build every rating with its source, as full answers list them."""
    rows = (("critic", "rottentomatoes://image.rating.ripe", item.rating),
            ("audience", "imdb://image.rating", item.audience_rating))  # fmt: skip
    return [Node("Rating", {"image": image, "type": kind, "value": value}) for kind, image, value in rows if value]


def build_review_nodes(item: DemoItem) -> list[Node]:
    """Build the reviews of invented critics for a film."""
    if item.type != "movie":
        return []
    return [
        Node("Review", {"id": zlib.crc32(f"{item.key}{name}".encode()) % 100_000 + 1, "filter": f"art=review{number}", "tag": name,
                        "text": f"{item.title} is better than it had to be.", "source": source,
                        "image": f"rottentomatoes://image.review.{mood}", "link": f"https://reviews.example.net/{item.key}/{number}"})
        for number, (name, source, mood) in enumerate(CRITICS, 1)
    ]  # fmt: skip


def build_age_nodes(item: DemoItem, *, full: bool) -> list[Node]:
    """Build the advice for parents on a film or a show: the official age, or with `full` everything."""
    if item.type not in {"movie", "show"}:
        return []
    number = zlib.crc32(item.key.encode()) % 100_000 + 1
    node = Node("CommonSenseMedia", {"id": number, "key": f"/library/metadata/{item.key}/commonsensemedia",
                                     "oneLiner": "A gentle story with some rough weather."})  # fmt: skip
    node.add("AgeRating", type="official", age=11.0, ageGroup="11+", rating=4.0)
    if full:
        node.attributes |= {"anyGood": "It is.", "parentsNeedToKnow": "There is a storm."}
        node.add("AgeRating", type="child", age=10.0, rating=4.0, ratingCount=12)
        node.add("AgeRating", type="adult", age=12.0, rating=3.0, ratingCount=7)
        node.add("TalkingPoint", tag="Why did nobody ask the ferryman?")
        node.add("ParentalAdvisoryTopic", id="peril", label="Peril", positive=False, rating=2.0, tag="A storm at sea.")
    return [node]
