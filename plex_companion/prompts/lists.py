"""Prompts that make or tidy lists. They show every change before they make it."""

from __future__ import annotations

from plex_companion.prompts.declare import Argument, Prompt

WATCHLIST = Prompt(
    "tidy_my_watchlist",
    "Tidy my watchlist",
    "Finds titles that can leave the watchlist, and titles that can be watched now.",
    """\
Help me tidy the watchlist of {user}.

Read all pages of `watchlist_list`. Sort the titles into four groups: already watched (check the state and, if unsure, \
`history_query`), on this server and unwatched, not on this server, and duplicates. Show the groups as short lists with \
years. Suggest what to remove and why.

Do not remove anything yet. When I have chosen, call `watchlist_remove` with the guid of each title, and tell me which \
were removed and which were not. If the companion is read-only, say so and leave me the list.""",
    (Argument("user", "Whose watchlist: a name in the Plex home.", "the owner"),),
)

PLAYLIST = Prompt(
    "make_a_playlist",
    "Make a playlist for…",
    "Picks titles from a library for a mood or an occasion and creates a playlist.",
    """\
Make a playlist for: {occasion}. Library: {library}. Length: {length}.

1. Call `library_list` and choose the library that fits, unless I named one. A playlist cannot mix video and music.
2. Find candidates with `library_get_contents` (by genre, year, actor, unwatched …) and `media_search`. Use only items of \
the library, by rating_key; do not invent any. Check `media_get_details` where the title alone is not enough.
3. Show me the list in order, with the total running time, a short reason for each item, and a name for the playlist.
4. When I agree, call `playlist_create` with item_ids. If the companion is read-only, say so and leave me the list.""",
    (
        Argument("occasion", "A mood or an occasion, such as: a rainy Sunday with children."),
        Argument("library", "The library to choose from.", "whichever fits"),
        Argument("length", "The length, such as: two hours, 20 songs.", "whatever suits the occasion"),
    ),
)
