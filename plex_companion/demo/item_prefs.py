"""Settings of single items: how a show orders its episodes, whether its seasons are hidden, which languages it plays in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.prefs import Pref

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.server_state import ServerState

DEFAULT = "-1:Library default"
ORIGINAL_TITLE = ("useOriginalTitle", "Use original title", f"{DEFAULT}|0:No|1:Yes")
CREDITS = ("enableCreditsMarkerGeneration", "Credits detection", f"{DEFAULT}|0:Disabled")
SUBTITLES = (
    "subtitleMode",
    "Subtitle mode",
    "-1:Account default|0:Manually selected|1:Shown with foreign audio|2:Always enabled",
)
KEEP = "0:Keep all|5:Latest five|3:Latest three|1:Latest one"
AFTER = "0:Never|1:After a day|7:After a week|100:On next refresh"
# (id, label, choices); the first choice is the default.
PREFS = {
    "movie": (ORIGINAL_TITLE, CREDITS),
    "show": (
        ("episodeSort", "Episode sorting", f"{DEFAULT}|0:Oldest first|1:Newest first"),
        ("autoDeletionItemPolicyUnwatchedLibrary", "Keep", KEEP),
        ("autoDeletionItemPolicyWatchedLibrary", "Delete episodes after playing", AFTER),
        ("flattenSeasons", "Seasons", f"{DEFAULT}|0:Show|1:Hide"),
        ORIGINAL_TITLE, CREDITS, SUBTITLES,
    ),
    "season": (SUBTITLES,),
    "artist": (("albumSort", "Album sorting", f"{DEFAULT}|0:Newest first|1:Oldest first|2:By name"),),
}  # fmt: skip


def get_item_prefs(server: ServerState, item: DemoItem) -> dict[str, Pref]:
    """Return the settings of an item, to be read or changed; empty for types that have none."""
    return server.item_prefs.setdefault(
        item.key, {id_: _build_pref(id_, *rest) for id_, *rest in PREFS.get(item.type, ())}
    )


def _build_pref(id_: str, label: str, choices: str) -> Pref:
    default = int(choices.partition(":")[0])
    return Pref(id_, label, "int", default, default, "", choices=choices)


def list_changed_prefs(server: ServerState, item: DemoItem) -> dict[str, str]:
    """Return the settings that are not at their default: items carry them as attributes."""
    prefs = server.item_prefs.get(item.key, {})
    return {id_: str(pref.value) for id_, pref in prefs.items() if str(pref.value) != str(pref.default)}


def hides_seasons(server: ServerState, show: DemoItem) -> bool:
    """Return whether the seasons of a show are skipped when it is browsed."""
    return list_changed_prefs(server, show).get("flattenSeasons") == "1"
