"""Prompts that make or tidy lists. They show every change before they make it."""

from __future__ import annotations

from plex_companion.prompts.declare import Argument, Prompt

WATCHLIST = Prompt(
    "tidy_my_watchlist",
    "Tidy my watchlist",
    "Finds what can leave the watchlist, and what of it can be watched now.",
    """\
Help me tidy the watchlist of {user}.

Page through it with `watchlist_list` until it is complete. Sort it into: already watched (look at its state, and at \
`history_query` in doubt), on this server and unwatched, not on this server, and twice the same. Show the four \
groups as short lists with years, and propose what to remove and why.

Remove nothing yet. When I have said which, call `watchlist_remove` for each by its guid, and tell me what went and what \
did not. If the companion is read-only, say so and leave me the list.""",
    (Argument("user", "Whose: a name of the Plex home.", "the owner"),),
)

PLAYLIST = Prompt(
    "make_a_playlist",
    "Make a playlist for…",
    "Picks titles of the library for a mood or an occasion, and makes a playlist of them.",
    """\
Make a playlist for: {occasion}. Library: {library}. Length: {length}.

1. Call `library_list`, and choose the library that fits, unless I named one. Films and episodes do not mix with music.
2. Find candidates with `library_get_contents` (by genre, year, actor, unwatched …) and `media_search`. Take only what is \
in the library, by rating_key; invent nothing. Look closer with `media_get_details` where a title alone does not tell.
3. Show me the list in its order, with the running time and half a line of reason each, and a name for it.
4. Only when I agree, call `playlist_create` with item_ids. If the companion is read-only, say so and leave me the list.""",
    (
        Argument("occasion", "A mood or an occasion, as: a rainy Sunday with children."),
        Argument("library", "The library to choose from.", "whichever fits"),
        Argument("length", "How long, as: two hours, 20 songs.", "what suits the occasion"),
    ),
)
