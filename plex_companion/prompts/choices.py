"""Prompts about what to watch, what to delete, and how a year went."""

from __future__ import annotations

from plex_companion.prompts.declare import Argument, Prompt

WHAT_TO_WATCH = Prompt(
    "what_shall_we_watch",
    "What shall we watch?",
    "Suggests a few unwatched titles that fit the person and the time, each with its reason.",
    """\
Suggest something to watch. For: {user}. Time: {time}. Mood: {mood}.

Call `recommend` for that user (leave the user out for everybody), with duration_max_minutes if I gave a time. If I named a \
mood, call `catalogue_search` too, with the genre that fits it and unwatched_by that user, or anyone. Choose at most five \
titles, not all of one genre, and never one that is not in the answers.

Give each a line: title, year, length in hours and minutes, and its reason in the words of the answer. End with the one you \
would take, and why. If somebody is in the middle of a show that I name, `show_progress` says which episode is next.""",
    (
        Argument("user", "Who watches: a name in the Plex home.", "everybody"),
        Argument("time", "How long it may take, such as: two hours.", "as long as it takes"),
        Argument("mood", "A mood or a genre, such as: something light.", "any"),
    ),
)

WHAT_CAN_GO = Prompt(
    "what_can_go",
    "What can go?",
    "Lists what nobody watched for long and what is there twice, with the space it would free.",
    """\
Help me free disk space. Library: {library}. Untouched for: {days} days.

1. Call `catalogue_neglected` with these days, and the library if I named one. Show the largest twenty with year, size in GB \
and the last time they were watched, and the number and size of all of them. Mark what somebody began and did not finish.
2. Call `catalogue_duplicates`. Show what is there twice and how much all files but the largest take up. Editions are no \
duplicates.
3. Sum up how much could be freed. If `catalogue.complete` is false, say that items are missing from the answers.

Delete nothing. When I have chosen, repeat my choice with sizes and ask once more. Titles are deleted one at a time, each by \
its rating_key; if the companion is read-only, leave me the list.""",
    (
        Argument("library", "The library to look through.", "all"),
        Argument("days", "How many days nobody watched it.", "365"),
    ),
)

HOW_THE_YEAR_WENT = Prompt(
    "how_did_the_year_go",
    "How did the year go?",
    "Tells a year or a month in Plex: hours, favourites, streaks, and what was watched on this day before.",
    """\
Tell me how {period} went on my Plex server, for {user}.

Call `recap` with that period as 2026 or 2026-11 and, if I named one, the user. Then call `on_this_day` for the same user.

Write a short, warm summary: hours and titles, the favourites, the genres, the longest streak, the busiest day, the movie \
that was paused most, and what was watched on this day in an earlier year. Leave out what is null or empty. If estimated_ms \
is above zero, say that part of the hours is estimated. Invent nothing, and compare people only if I ask.""",
    (
        Argument("period", "A year or a month.", "this year"),
        Argument("user", "Whose year: a name in the Plex home.", "everybody"),
    ),
)
