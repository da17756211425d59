"""What each kind of Plex element means, on invented XML of the recorded shapes."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from support.scripted_plex import ACCOUNTS, ACTIVITIES, CLIENTS, IDENTITY, ROOT, SECTIONS, SESSIONS, parsed

from plex_companion.models import Account, Activity, Client, Item, Player, Section, ServerIdentity, User
from plex_companion.plex.xml import views


def _parse_first(xml: bytes) -> Element:
    return parsed(xml)[0]


def test_a_session_has_item_user_player_and_both_of_its_ids() -> None:
    row = views.parse_session_row(_parse_first(SESSIONS), private=False)

    assert (row.session_key, row.session_id) == ("7", "s-abc")
    assert row.item == Item(
        rating_key="501",
        key="/library/metadata/501",
        guid="plex://episode/5f0c",
        type="episode",
        title="The Lamp",
        grandparent_title="Harbour Lights",
        parent_title="Season 2",
        index=4,
        parent_index=2,
        year=2031,
        library="Series",
        library_id="2",
        duration_ms=1_500_000,
    )
    assert row.item.full_title == "Harbour Lights - S02E04 - The Lamp"
    assert row.user == User("3", "ada@example.org")
    assert row.player == Player("tv-1", "Big TV", "Plex for Tizen", "Tizen", "TV", "5.6", "10.1.2.3", local=True)
    assert (row.state, row.view_offset_ms) == ("playing", 60_000)
    assert (row.decision, row.transcode) == ("direct play", None)
    assert (row.bandwidth_kbps, row.location) == (8100, "lan")
    assert (row.video_resolution, row.bitrate_kbps) == ("1080", 8000)


def test_privacy_hides_e_mail_and_address() -> None:
    row = views.parse_session_row(_parse_first(SESSIONS), private=True)
    assert row.user == User("3", "hidden")
    assert row.player is not None
    assert row.player.address == "hidden"
    client = views.parse_client(_parse_first(CLIENTS), private=True, at=5)
    assert client is not None
    assert client.address == "hidden"


def test_a_bare_row_is_all_unknown() -> None:
    row = views.parse_session_row(Element("Video"), private=True)
    assert row.item == Item()
    assert (row.session_key, row.user, row.player, row.decision, row.state) == (None,) * 5


def test_live_tv_has_its_job_below_the_media_and_no_session_key() -> None:
    row = views.parse_session_row(
        parsed(
            '<Video live="1" key="/livetv/sessions/lt-1" title="News"><Media videoResolution="1080"><Part/>'
            '<TranscodeSession key="/transcode/sessions/job-1" videoDecision="copy" audioDecision="copy" progress="-1"/>'
            "</Media></Video>"
        ),
        private=True,
    )
    assert row.item.live
    assert (row.session_key, row.item.rating_key, row.item.key) == (None, None, "/livetv/sessions/lt-1")
    assert row.transcode is not None
    assert (row.transcode.key, row.transcode.progress) == ("job-1", -1.0)
    assert row.decision == "direct stream"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("<Part/>", "direct play"),
        ('<Part decision="directplay"/>', "direct play"),
        ('<Part decision="transcode"><Stream decision="copy"/><Stream decision="copy"/></Part>', "direct stream"),
        ('<Part decision="transcode"><Stream decision="copy"/><Stream decision="transcode"/></Part>', "transcode"),
        ('<Part decision="transcode"><Stream decision="copy"/><Stream decision="burn"/></Part>', "transcode"),
    ],
)
def test_without_a_job_the_part_decides(part: str, expected: str) -> None:
    row = views.parse_session_row(parsed(f"<Video><Media>{part}</Media></Video>"), private=True)
    assert row.decision == expected


def test_a_job_that_burns_subtitles_transcodes() -> None:
    job = '<TranscodeSession key="j" videoDecision="copy" audioDecision="copy" subtitleDecision="burn"/>'
    assert views.parse_session_row(parsed(f"<Video>{job}</Video>"), private=True).decision == "transcode"


@pytest.mark.parametrize(
    ("media", "title", "expected"),
    [("SD", "1080p (H.264)", "1080"), ("720p", "4K (HEVC Main 10)", "4k"), ("4k", "Unknown", "4k"), ("SD", "", "sd")],
)
def test_resolution_is_that_of_the_file_even_while_it_is_transcoded(media: str, title: str, expected: str) -> None:
    stream = f'<Stream streamType="1" displayTitle="{title}"/>'
    xml = f'<Video><Media videoResolution="{media}"><Part decision="transcode">{stream}</Part></Media></Video>'
    assert views.parse_session_row(parsed(xml), private=True).video_resolution == expected


def test_of_several_versions_the_selected_one_plays() -> None:
    xml = '<Video><Media bitrate="1"/><Media bitrate="2" selected="1"/></Video>'
    assert views.parse_session_row(parsed(xml), private=True).bitrate_kbps == 2


@pytest.mark.parametrize("value", ["", "nan", "inf", "1e999", "x", "9" * 5000, "9" * 30, "-"])
def test_a_number_that_is_none_is_unknown(value: str) -> None:
    assert views.parse_session_row(Element("Video", {"viewOffset": value}), private=True).view_offset_ms is None


def test_names_are_cleaned_of_what_a_terminal_or_a_reader_would_obey() -> None:
    row = views.parse_session_row(Element("Track", {"title": "a\u202eb\x1b[2J\nc"}), private=True)
    assert row.item.title == "ab[2J c"


def test_an_activity_keeps_its_context() -> None:
    assert views.parse_activity(_parse_first(ACTIVITIES), at=9) == Activity(
        uuid="u-1",
        type="library.update.section",
        title="Scanning Series",
        subtitle="Harbour Lights",
        progress=40,
        cancellable=True,
        user_id="1",
        context={"librarySectionID": "2"},
        started_at=9,
        updated_at=9,
    )


def test_a_section_has_times_in_milliseconds_and_a_counter_as_it_is() -> None:
    assert views.parse_section(_parse_first(SECTIONS), count=3) == Section(
        section_id="1",
        title="Films",
        type="movie",
        uuid="u-films",
        agent="tv.plex.agents.movie",
        scanner="Plex Movie",
        language="en",
        count=3,
        updated_at=1_700_000_000_000,
        scanned_at=1_700_000_100_000,
        content_changed_at=42,
        locations=("/media/films",),
    )
    second = views.parse_section(parsed(SECTIONS)[1])
    assert second is not None
    assert second.refreshing


def test_accounts_clients_and_the_server_itself() -> None:
    assert [views.parse_account(row, private=False) for row in parsed(ACCOUNTS)] == [
        Account("0", None),
        Account("1", "ada@example.org"),
    ]
    assert views.parse_client(_parse_first(CLIENTS), private=False, at=5) == Client(
        client_identifier="tv-1",
        title="Big TV",
        product="Plex for Tizen",
        device="stb",
        version="5.6",
        address="10.1.2.3",
        provides="timeline,playback",
        first_seen_at=5,
        last_seen_at=5,
    )
    assert views.parse_server_identity(parsed(ROOT)) == ServerIdentity("attic-1", "Attic", "1.43.3.1-x", "Linux")
    assert views.parse_server_identity(parsed(IDENTITY)) == ServerIdentity("attic-1", version="1.43.3.1-x")


def test_what_has_no_identity_is_no_thing() -> None:
    nothing = Element("Anything")
    assert views.parse_activity(nothing, at=0) is None
    assert views.parse_section(nothing) is None
    assert views.parse_account(nothing, private=True) is None
    assert views.parse_client(nothing, private=True, at=0) is None
    assert views.parse_server_identity(None) is None
    assert views.parse_total(None) is None


def test_an_episode_knows_its_show_by_key_and_guid_and_a_row_of_history_by_its_path() -> None:
    session = Element("Video", ratingKey="9", type="episode", grandparentRatingKey="5", grandparentGuid="plex://show/a")
    history = Element("Video", ratingKey="9", type="episode", grandparentKey="/library/metadata/5")
    assert [views.parse_item(row).grandparent_rating_key for row in (session, history)] == ["5", "5"]
    assert [views.parse_item(row).grandparent_guid for row in (session, history)] == ["plex://show/a", None]


@pytest.mark.parametrize(
    ("facts", "year"),
    [
        ({"originallyAvailableAt": "1992-05-01"}, 1992),
        ({"year": "1993", "originallyAvailableAt": "1992-05-01"}, 1993),
        ({"originallyAvailableAt": "soon"}, None),
        ({}, None),
    ],
)
def test_the_year_of_a_row_without_one_is_that_of_its_release(facts: dict[str, str], year: int | None) -> None:
    assert views.parse_item(Element("Video", {"type": "movie", **facts})).year == year
