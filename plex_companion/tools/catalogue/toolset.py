"""Toolset `catalogue`: questions about the libraries, answered from the database alone."""

from __future__ import annotations

from plex_companion.tools.catalogue.anniversaries import on_this_day
from plex_companion.tools.catalogue.diagnose import play_diagnose
from plex_companion.tools.catalogue.duplicates_report import catalogue_duplicates
from plex_companion.tools.catalogue.item_search import catalogue_search
from plex_companion.tools.catalogue.neglected_report import catalogue_neglected
from plex_companion.tools.catalogue.progress_report import show_progress
from plex_companion.tools.catalogue.recap_report import recap
from plex_companion.tools.catalogue.recommend_report import recommend
from plex_companion.tools.catalogue.storage_report import catalogue_storage
from plex_companion.tools.declare import Access, Toolset
from plex_companion.tools.follow_up.resource_links import link_play
from plex_companion.tools.server_argument import ServerArgument

CATALOGUE = Toolset("catalogue", "Offline copy of the libraries: search, sizes, who watched what, what to watch")
for _tool, _title in (
    (catalogue_search, "Search the catalogue"),
    (catalogue_storage, "Disk space"),
    (catalogue_duplicates, "Find duplicates"),
    (catalogue_neglected, "Find what is never watched"),
    (show_progress, "Progress in shows"),
    (recommend, "Recommend something to watch"),
    (on_this_day, "On this day"),
    (recap, "Month or year in review"),
):
    CATALOGUE.tool(Access.READ, title=_title)(_tool)
CATALOGUE.tool(Access.READ, title="Diagnose a play", link=link_play, server=ServerArgument.OPTIONAL)(play_diagnose)
