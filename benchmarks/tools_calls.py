"""A household of 20,000 items and 100,000 plays, and the calls to measure on it: tool, arguments, and budget.

A budget is the number of requests to Plex and plex.tv that one call may cost with empty caches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.demo import Household, load_household
from plex_companion.demo.household.model import DemoCollection, DemoPlaylist

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo

ITEMS, PLAYS = 20_000, 100_000
FILM, SHOW, ARTIST = "11", "12", "13"
FILMS_LIST, SMART_LIST, SHORT_LIST, DELETED_LIST = "800001", "800002", "800003", "800004"
LARGE, DELETED = "800011", "800012"
OTHER = "Jasper O'Dell"
N = 4
S = 1
"""The list of libraries."""
U = 1
"""The list of users at plex.tv."""
V = U + 1
"""Another user's view: the users, and a token for this server."""
P = U + 1
"""Another profile's watchlist: the users, and the switch."""
F = 2
"""Finding an item by its title."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. `said`: a key of the answer that must not be empty, so that no empty answer counts as cheap."""

    tool: str
    budget: int
    given: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    code: str | None = None
    """The code of the error that must be the answer, where the household cannot have another."""

    def __str__(self) -> str:
        """Return the call as a person would write it."""
        return f"{self.tool}({', '.join(f'{name}={value!r}' for name, value in self.given.items())})"


def _call(tool: str, budget: int, said: str = "", /, **given: Any) -> Call:
    return Call(tool, budget, given, said)


READS = (
    _call("companion_status", 0),
    _call("catalogue_search", 0),
    _call("catalogue_storage", 0),
    _call("catalogue_duplicates", 0),
    _call("catalogue_neglected", 0),
    Call("show_progress", 0, {"show": "no show"}, code="not_found"),
    _call("recommend", 0),
    _call("on_this_day", 0),
    _call("recap", 0, "history"),
    _call("play_diagnose", 2, "cause", play_id="1"),
    _call("skill_get", 0, "skills"),
    _call("live_sessions", 0, "sessions"),
    _call("client_timelines", 0, "timelines"),
    _call("events_since", 0, "events"),
    _call("events_wait", 0, timeout=0),
    _call("occurrences_since", 0, "occurrences"),
    _call("occurrences_wait", 0, timeout=0),
    _call("alerts_list", 0),
    _call("activity_list", 0),
    _call("history_query", 0, "plays"),
    _call("history_stats", 0, "entries"),
    _call("play_get", 0, "marks", id="1"),
    _call("what_happened", 0, "plays", since="1h"),
    _call("library_changes", 0, since="1h"),
    _call("rule_list", 0),
    Call("rule_get", 0, {"id": "1"}, code="not_found"),
    Call("rule_history", 0, {"id": "1"}, code="not_found"),
    _call("rule_templates", 0, "templates"),
    _call("rule_test", 0, "sentence", rule={"name": "Late", "when": ["play.started"], "then": [{"action": "webhook"}]}),
    _call("library_list", 1 + N, "libraries"),
    _call("library_get_stats", S + 4 + 10, "movieStats", library_name="Films"),
    _call("library_get_stats", S + 4 + 10, "showStats", library_name="Series"),
    _call("library_get_stats", S + 4 + 10, "musicStats", library_name="Music"),
    _call("library_get_details", S + 2, "totalItems", library_name="Films"),
    _call("library_get_recently_added", S + 1, "count"),
    _call("library_get_recently_added", S + 1, "count", library_name="Series", count=500),
    _call("library_get_contents", S + 2, "items", library_name="Films"),
    _call("library_get_contents", S + 2, "items", library_name="Films", limit=500, offset=4000),
    _call("library_get_contents", S + 2 + 2, "items", library_name="Films", genre="Noir", director="Tess Vanderlaan"),
    _call("library_get_contents", S + 2, "items", library_name="Series", limit=500),
    _call("library_get_contents", S + 2, "items", library_name="Music", limit=500),
    _call("library_get_contents", S + 2, "items", media_type="episode", limit=500, unwatched=True),
    _call("library_get_contents", S + 2 + V, "items", library_name="Films", username=OTHER),
    _call("media_search", 1, "total_count", query="Lantern"),
    _call("media_search", 1 + S, "total_count", query="Lantern", library_name="Films"),
    _call("media_get_details", F + 3, "id", media_title="The Paper Lighthouse"),
    _call("media_get_details", F + 3, "id", media_title="The Paper Lighthouse", library_name="Films"),
    _call("media_get_details", F + 3, "seasons", media_id=SHOW),
    _call("media_get_details", F + 3, "albums", media_id=ARTIST),
    _call("media_get_details", F + 3 + V, "seasons", media_title="Two Kettles", username=OTHER),
    _call("media_get_artwork", F + 1 + 2, "poster", media_title="The Paper Lighthouse"),
    _call("media_get_artwork", F + 1 + 2 * 2, "art", media_id=FILM, image_types=["poster", "art"]),
    _call("media_list_available_artwork", F + 1, "artwork", media_title="The Paper Lighthouse"),
    _call("playlist_list", S + 1, "playlists", library_name="Films", content_type="video"),
    _call("playlist_list", S + 1 + V, username=OTHER),
    _call("playlist_get_contents", 2, "items", playlist_title="Long List", limit=1000),
    _call("playlist_get_contents", 2, "items", playlist_id=SMART_LIST),
    _call("playlist_get_contents", 2 + V, "items", playlist_title="Jasper's List", username=OTHER),
    _call("playlist_get_smart_filter_options", S + 2, "fields", library_name="Films"),
    _call("playlist_get_smart_filter_options", S + 2, "choices", library_name="Films", field="genre"),
    _call("playlist_get_smart_filter_options", S + 2 + V, "fields", library_name="Series", username=OTHER),
    _call("collection_list", S + N, "collections"),
    _call("collection_list", S + 1, "collections", library_name="Films"),
    _call("user_search_users", U + 1, "users", search_term="e"),
    _call("user_list_all_users", U + 1, "users"),
    _call("user_get_info", U + 1, "username"),
    _call("user_get_info", U + 1, "username", username=OTHER),
    _call("user_get_on_deck", 1, "username"),
    _call("user_get_on_deck", 1 + V, "username", username=OTHER),
    _call("user_get_continue_watching", 1, "status", limit=50),
    _call("user_get_continue_watching", 1 + V, "status", username=OTHER),
    _call("user_get_watch_history", 5, "items", limit=500),
    _call("user_get_watch_history", 5 + U, "items", limit=50, username=OTHER, content_type="show"),
    _call("user_get_statistics", 0, "history", time_period="last_year"),
    _call("user_get_statistics", 0, "history", time_period="all_time", username=OTHER),
    _call("sessions_get_active", 0, "sessions"),
    _call("sessions_get_media_playback_history", F + 3, "media", media_title="The Paper Lighthouse"),
    _call("sessions_get_media_playback_history", F + 3, "media", media_id=SHOW, username=OTHER),
    _call("server_get_info", 1, "data"),
    _call("server_get_plex_logs", 1, "lines"),
    _call("server_get_bandwidth", 3, "data", timespan="days", limit=2000),
    _call("server_get_current_resources", 1, "data"),
    _call("server_get_butler_tasks", 1, "data"),
    _call("server_get_alerts", 0, timeout=0),
    _call("client_list", 3, "clients"),
    _call("client_get_active", 0, "active_clients"),
    _call("client_get_details", 3, "client", client_name="Living Room"),
    _call("client_get_timelines", 4, "timeline", client_name="Living Room"),
    _call("watchlist_list", 1 + 2, "items", limit=100),
    _call("watchlist_list", 1, "items", include_state=False),
    _call("watchlist_list", 1 + 2 + P + V, username=OTHER),
    _call("watchlist_search", 1, "items", query="Lantern"),
    _call("watchlist_search", 1 + P, "items", query="Lantern", username=OTHER),
)
"""Every tool that reads, with the most expensive arguments and the most common ones."""

WRITES = (
    _call("library_refresh", S + 1, library_name="Films"),
    _call("library_scan", S + 1, library_name="Films"),
    _call("media_set_watched_status", 3, media_id=FILM, watched=True),
    _call("media_set_watched_status", 5, media_id=ARTIST, watched=True),
    _call("media_set_watched_status", 3 + V, media_id=SHOW, watched=True, username=OTHER),
    _call("media_edit_metadata", F + 4, media_title="The Paper Lighthouse", new_summary="Boats.", new_rating=8.5),
    _call("playlist_create", 2 * F + 4, playlist_title="Two", item_titles=["The Paper Lighthouse", "The Paper Comet"]),
    _call("playlist_create", 4, playlist_title="One", item_ids=[FILM], summary="Short."),
    _call("playlist_create_smart", S + 5, playlist_title="Eighties", library_name="Films", filters={"decade": 1980}),
    _call("playlist_edit_smart_filters", 5, playlist_id=SMART_LIST, limit=20),
    _call("playlist_edit", 3, playlist_id=SHORT_LIST, new_title="Shorter", new_summary="Renamed."),
    _call("playlist_add_to", 3 + F, playlist_id=SHORT_LIST, item_titles=["The Paper Lighthouse"]),
    _call("playlist_remove_from", 3 + 1, playlist_id=SHORT_LIST, item_titles=["The Paper Lighthouse"]),
    _call("playlist_copy_to_user", 4 + 10 + V, playlist_id=FILMS_LIST, username=OTHER),
    _call("playlist_delete", 4, playlist_id=DELETED_LIST, confirm=True),
    _call("collection_create", S + 4, collection_title="New", library_name="Films", item_ids=[FILM]),
    _call("collection_add_to", S + 5, collection_id=LARGE, item_ids=[FILM]),
    _call("collection_remove_from", S + 4 + 1, collection_id=LARGE, item_ids=[FILM]),
    _call("collection_edit", F + 6, collection_id=LARGE, new_summary="Boats.", add_labels=["Sea"]),
    _call("collection_delete", S + 5, collection_id=DELETED, confirm=True),
    _call("server_run_butler_task", 2, task_name="CleanOldBundles"),
    _call("server_optimize_database", 1),
    _call("server_clean_bundles", 1),
    _call("client_control_playback", 5, client_name="Living Room", action="pause"),
    _call("client_navigate", 4, client_name="Living Room", action="home"),
    _call("client_start_playback", F + 6, client_name="Study & Den", media_title="The Paper Lighthouse"),
    _call("media_delete", F + 6, media_title="The Paper Lighthouse", confirm=True),
)
"""Writes that need no picture and no PIN, in an order in which none disturbs another."""


def build_big_household(folder: Path) -> Household:
    """Build the household. The calls look for its rare titles; the rest is generated."""
    file = folder / "household.json"
    file.write_text(json.dumps(_HOUSEHOLD), encoding="utf-8")
    household = load_household(file)
    films = [item.key for item in household.items if item.type == "movie"]
    now = household.items[0].added_at
    newest = "/library/sections/1/all?type=1&sort=movie.addedAt%3Adesc&limit=10"

    def listed(key: str, title: str, keys: list[str], user: int = 1, content: str = "") -> DemoPlaylist:
        entries = list(enumerate(keys, int(key) * 10_000))
        return DemoPlaylist(key, title, "video", user, now, now, smart=bool(content), content=content, entries=entries)

    household.playlists = [
        listed(FILMS_LIST, "Long List", films[:1000]),
        listed(SMART_LIST, "Newest Ten", [], content=newest),
        listed(SHORT_LIST, "Short List", films[20:25]),
        listed(DELETED_LIST, "Doomed List", films[30:35]),
        listed("800005", "Jasper's List", films[40:60], household.users[1].id),
    ]
    household.collections = [
        DemoCollection(LARGE, "Collected", "1", "movie", now, now, items=films[10:500]),
        DemoCollection(DELETED, "Doomed", "1", "movie", now, now, items=films[10:20]),
    ]
    assert len(household.items) >= ITEMS
    assert len(household.history) == PLAYS
    return household


def list_watchlist_ids(demo: Demo) -> list[str]:
    """Return Discover's ids of sixty films, for the owner's watchlist."""
    return [item.guid.rpartition("/")[2] for item in demo.state.list_section("1", "movie")[:60]]


_HOUSEHOLD = {
    "sections": [
        {
            "title": "Films",
            "type": "movie",
            "items": [
                {
                    "title": "The Paper Lighthouse",
                    "rating_key": FILM,
                    "genres": ["Noir"],
                    "directors": ["Tess Vanderlaan"],
                    "year": 1987,
                },
                {"title": "The Paper Comet", "year": 1988},
            ],
            "generate": 6100,
        },
        {
            "title": "Series",
            "type": "show",
            "items": [
                {
                    "title": "Two Kettles",
                    "rating_key": SHOW,
                    "seasons": [{"episodes": [{"title": "Steam"}, {"title": "Whistle"}]} for _ in range(3)],
                }
            ],
            "generate": {"count": 150, "seasons": 3, "episodes": 10},
        },
        {
            "title": "Music",
            "type": "artist",
            "items": [{"title": "Marlow", "rating_key": ARTIST, "albums": ["Gravel", "Dock"]}],
            "generate": {"count": 350, "albums": 3},
        },
        {"title": "Photos", "type": "photo", "generate": {"count": 5, "photos": 10}},
    ],
    "generate_history": PLAYS,
}
