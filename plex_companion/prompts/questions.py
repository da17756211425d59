"""Prompts that ask what is happening in the household and on the server."""

from __future__ import annotations

from plex_companion.prompts.declare import Argument, Prompt

NOW = Prompt(
    "whats_on_now",
    "What's on now?",
    "Who watches what right now, where, and how it is delivered.",
    """\
Tell me what is playing on my Plex server right now.

Read the resource plex://sessions, or call `live_sessions`. One line a session: who, what, on which player, how far, \
playing or paused; add how it is delivered only where it is transcoded or buffers, and why. If nothing plays, say so.""",
)

WHILE_AWAY = Prompt(
    "while_i_was_away",
    "What happened while I was away?",
    "A digest of plays, new titles, alerts and outages since a time.",
    """\
Tell me what happened on my Plex server since {since} (a span counts back from now).

Call `what_happened` with that time, and read its notes before you say that nothing happened. Begin with what still needs me \
(open alerts), then who watched what, then what is new in the libraries, briefly. Name the times in which nobody listened: \
about those little can be known. Where a list was cut, say how many more there are; `history_query` and `library_changes` \
tell the rest if I ask.""",
    (Argument("since", "A time or a span: 24h, 7d, 1month, yesterday, 2026-11-22, 2026-11-22T17:00.", "24h"),),
)

WHY_BUFFERING = Prompt(
    "why_is_it_buffering",
    "Why is it buffering?",
    "Looks for the cause of one session's stutter: transcoder, network, player or server.",
    """\
Find out why playback stutters. What I know: session key {session_key}, title {title}.

1. Read plex://sessions, or call `live_sessions`, and pick the session by its key, its title or, if I named neither, the \
one that buffers or has the highest buffer_count. If it plays no more, find it with `history_query`, and look at its course \
with `play_get`; `alerts_list` tells of the kinds buffering and transcode_slow.
2. Judge in this order. A transcode.speed below 1: the server cannot keep up; say what is converted, from which codec to \
which, and whether in hardware. No transcoding, location wan: the network; compare bandwidth_kbps with what \
`server_get_bandwidth` shows. Everything well: the player, or its Wi-Fi.
3. Look at the whole server with `server_get_current_resources`, and whether other sessions or tasks compete \
(`activity_list`).

Answer with the likely cause, the facts that speak for it, and one or two things to try, the simplest first. Say so when \
the facts do not decide it. Change nothing.""",
    (
        Argument("session_key", "The key of a session that plays now.", "not named"),
        Argument("title", "What is being played.", "not named"),
    ),
)

SERVER_HEALTH = Prompt(
    "how_is_the_server",
    "How is the server?",
    "A short check of connection, load, open alerts and running tasks.",
    """\
Tell me how my Plex server is.

Call `companion_status` for the connection and the cache, `alerts_list` for alerts without resolved_at, \
`server_get_current_resources` for the load, `activity_list` for what it is doing, and `server_get_info` for its version. \
Begin with a verdict in one sentence. Then only what is out of the ordinary, each with what I can do about it. If all is \
well, three lines are enough. Change nothing.""",
)
