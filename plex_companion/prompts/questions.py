"""Prompts that ask what is happening in the household and on the server."""

from __future__ import annotations

from plex_companion.prompts.declare import Argument, Prompt

NOW = Prompt(
    "whats_on_now",
    "What's on now?",
    "Who is watching what right now, where, and how it is delivered.",
    """\
Tell me what is playing on my Plex server right now.

Read the resource plex://sessions, or call `live_sessions`. Write one line per session: who, what, which player, how far, \
playing or paused. Mention the delivery only if a session is transcoded or buffering, and say why. If nothing is playing, \
say so.""",
)

WHILE_AWAY = Prompt(
    "while_i_was_away",
    "What happened while I was away?",
    "A digest of plays, new titles, alerts and outages since a given time.",
    """\
Tell me what happened on my Plex server since {since} (a span counts back from now).

Call `what_happened` with that time, and read its notes before you say that nothing happened. Start with what still needs \
my attention (open alerts), then who watched what, then briefly what is new in the libraries. List the times without a \
connection to Plex: little is known about them. If a list was cut, say how many more entries there are; `history_query` \
and `library_changes` have the rest if I ask.

If I ask how something came about, or in which order, read it from `occurrences_since`: each start, pause, end, new season, \
alert and lost connection with its time. Those that are inferred were found out afterwards.""",
    (Argument("since", "A time or a span: 24h, 7d, 1month, yesterday, 2026-11-22, 2026-11-22T17:00.", "24h"),),
)

WHY_BUFFERING = Prompt(
    "why_is_it_buffering",
    "Why is it buffering?",
    "Finds out why a session stutters: transcoder, network, player or server.",
    """\
Find out why playback stutters. What I know: session key {session_key}, title {title}.

1. Read plex://sessions, or call `live_sessions`, and find the session by its key or title. If I gave neither, take the \
one that is buffering or has the highest buffer_count. If it is no longer playing, find it with `history_query` and look at \
its events with `play_get`; `alerts_list` has alerts of the kinds buffering and transcode_slow.
2. Check in this order. If transcode.speed is below 1, the server cannot keep up: say what is converted, from which codec \
to which, and whether in hardware. If nothing is transcoded and the location is wan, suspect the network: compare \
bandwidth_kbps with what `server_get_bandwidth` shows. If both look fine, suspect the player or its Wi-Fi.
3. Check the load of the server with `server_get_current_resources`, and whether other sessions or tasks compete for it \
(`activity_list`).

Answer with the likely cause, the facts that support it, and one or two things to try, the simplest first. If the facts \
are not conclusive, say so. Change nothing.""",
    (
        Argument("session_key", "The key of a current session.", "unknown"),
        Argument("title", "What is playing.", "unknown"),
    ),
)

SERVER_HEALTH = Prompt(
    "how_is_the_server",
    "How is the server?",
    "A short check of connection, load, open alerts and running tasks.",
    """\
Tell me how my Plex server is doing.

Call `companion_status` for the connection and the cache, `alerts_list` for alerts without resolved_at, \
`server_get_current_resources` for the load, `activity_list` for running tasks, and `server_get_info` for the version. \
Start with a verdict in one sentence. Then list only what is unusual, each with what I can do about it. If all is well, \
three lines are enough. Change nothing.""",
)
