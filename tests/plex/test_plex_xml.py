"""An answer that breaks the rules of XML: what is certain is kept, the rest is counted, and no document type passes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_plex import TOKEN, Answer, pretend_plex, settings_for

from plex_companion.errors import PlexError
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.snapshot import fetch_xml
from plex_companion.plex.xml.answer import (
    DEEPEST,
    LONGEST_TAG,
    PIECE,
    Damage,
    DocumentTypeDeclared,
    collect_damage,
    describe_damage,
    read_xml,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FINE = '<Video sessionKey="1" title="Fine"><Player state="playing"/></Video>'
LAST = '<Video sessionKey="3" title="Last"/>'
LONG = " ".join(f"b{n}='1'" for n in range(LONGEST_TAG // 4))


def _read(text: str | bytes, most_rows: int | None = None) -> tuple[Element, Damage]:
    root, damage = read_xml(text.encode() if isinstance(text, str) else text, most_rows=most_rows)
    assert root is not None
    return root, damage


def _between(bad: str) -> str:
    return f'<MediaContainer size="3">{FINE}{bad}{LAST}</MediaContainer>'


def _titles(root: Element) -> list[str | None]:
    return [row.get("title") for row in root]


@pytest.mark.parametrize(
    ("bad", "title"),
    [
        ('<Video sessionKey="2" title="Salt & Ember"/>', "Salt & Ember"),
        ('<Video sessionKey="2" title="Salt &amp; Ember & Ash"/>', "Salt & Ember & Ash"),
        ('<Video sessionKey="2" title="A&#4;B"/>', "AB"),
        ('<Video sessionKey="2" title="A&#x1F;&#xD800;&#99999999;B"/>', "AB"),
        ('<Video sessionKey="2" title="A\x04B"/>', "AB"),
        ('<Video sessionKey="2" title="Caf&eacute;"/>', "Café"),
        ('<Video sessionKey="2" title="&nobody;"/>', "&nobody;"),
        ('<Video sessionKey="2" title="2 < 3"/>', "2 < 3"),
        ('<Video sessionKey="2"title="Close"/>', "Close"),
        ('<Video sessionKey="2" title="Twice" title="Twice"/>', "Twice"),
        ('<Video sessionKey="2" odd:name="1" title="Prefix"/>', "Prefix"),
        ('<Video sessionKey="2" title="Stray"></Foo></Video>', "Stray"),
    ],
)
def test_a_row_of_which_only_one_reading_is_possible_is_repaired(bad: str, title: str) -> None:
    root, damage = _read(_between(bad))
    assert _titles(root) == ["Fine", title, "Last"]
    assert (damage.repaired, damage.skipped, damage.cut) == (1, [], False)


@pytest.mark.parametrize(
    "bad",
    [
        '<Video sessionKey="2" studio="A" studio="B"/>',
        '<Video sessionKey="2"><Media id="1" id="2"/></Video>',
        '<Video sessionKey="2" title="The "Best" One"/>',
        '<Video sessionKey="2" title="A 5" Disk"/>',
        '<Video sessionKey="2" title="A 5" Disk"><Media/><Player/></Video>',
        '<Video sessionKey="2" title=Bare/>',
        '<Video sessionKey="2" title="Bold <b>"/>',
        '<Video sessionKey="2"><Media><Part/></Video>',
        '<Video sessionKey="2"><Media><Part/>',
        '<Video sessionKey="2">',
        '<Video sessionKey="2" title="open',
        '<Video sessionKey="2"',
        '<Track sessionKey="2"><Media/>',
    ],
)
def test_a_row_that_is_not_certain_is_left_out_and_those_around_it_are_kept(bad: str) -> None:
    root, damage = _read(_between(bad))
    assert _titles(root) == ["Fine", "Last"]
    assert [row.get("sessionKey") for row in damage.skipped] == ["2"]
    assert damage.describe() == ": 1 row could not be read."


def test_an_extra_inside_a_row_is_no_row_of_its_own() -> None:
    row = '<Video title="Whole"><Extras><Video title="Trailer & more"/></Extras></Video>'
    root, damage = _read(_between(row))
    assert _titles(root) == ["Fine", "Whole", "Last"]
    assert damage.repaired == 1


def test_what_follows_where_an_answer_breaks_off_is_lost_and_that_is_said() -> None:
    root, damage = _read(_between("")[:-30])
    assert _titles(root) == ["Fine"]
    assert damage.cut
    assert "the rest could not be read" in damage.describe()


def test_bytes_that_are_no_character_cost_the_character() -> None:
    root, damage = _read(_between('<Video title="A?B"/>').encode().replace(b"?", b"\xff"))
    assert _titles(root) == ["Fine", "A\ufffdB", "Last"]
    assert damage


def test_attributes_of_the_list_that_contradict_each_other_are_left_out() -> None:
    root, damage = _read(f'<MediaContainer size="1" size="9" title1="All">{FINE}</MediaContainer>')
    assert root.attrib == {"title1": "All"}
    assert _titles(root) == ["Fine"]
    assert damage


@pytest.mark.parametrize("text", ["hello", "{}", "Error: <b>no</b>", "<html><p>Welcome</html>", "<", "&", "<>"])
def test_what_is_no_xml_stays_an_error(text: str) -> None:
    with pytest.raises(ParseError):
        read_xml(text.encode())


@pytest.mark.parametrize("text", ["", " \r\n "])
def test_an_answer_without_content_has_no_element(text: str) -> None:
    assert read_xml(text.encode()) == (None, Damage())


# -- document types

DOCTYPE = '<!DOCTYPE l [<!ENTITY a "ha">]>'


@pytest.mark.parametrize(
    "body",
    [
        DOCTYPE + _between(""),
        " " * 64 + DOCTYPE + _between(""),
        "\x00" + DOCTYPE + _between(""),
        "\ufeff" + DOCTYPE + _between(""),
        '<?xml version="1.0" encoding="cp037"?>' + DOCTYPE + _between(""),
        "<!-- first -->" * 100 + DOCTYPE + _between(""),
        "<?a <!-- ?>" + DOCTYPE + _between(""),
        DOCTYPE.lower() + _between(""),
        "<!doctype html><html></html>",
        _between(DOCTYPE),
        _between('<Video a="1" a="2"/>' + DOCTYPE),
        _between('<!ENTITY a "ha">'),
        _between("") + DOCTYPE,
        " " * (2 * PIECE) + DOCTYPE + _between(""),
    ],
    ids=range(14),
)
def test_a_document_type_is_refused_wherever_it_stands(body: str) -> None:
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(DocumentTypeDeclared):
            read_xml(body.encode(encoding))


@pytest.mark.parametrize("broken", ["", " & "])
def test_the_words_of_a_document_type_in_a_comment_or_in_cdata_are_none(broken: str) -> None:
    root, _ = _read(_between(f"<!-- {DOCTYPE} --><![CDATA[{DOCTYPE}]]>{broken}"))
    assert _titles(root) == ["Fine", "Last"]


async def test_a_document_type_is_refused_of_plex_and_the_message_says_what_to_try() -> None:
    async with pretend_plex() as plex, open_gateway(settings_for(plex.url)) as gateway:
        plex.answers["/thing"] = Answer(body=b" " * 64 + DOCTYPE.encode() + EMPTY)
        with pytest.raises(PlexError, match=r"GET /thing: .* declares a document type\. Check PLEX_URL\.$") as caught:
            await gateway.call(lambda server: fetch_xml(server, "/thing"))
        assert TOKEN not in str(caught.value)
        plex.close()


EMPTY = b'<MediaContainer size="0"/>'

# -- amounts


def test_of_many_rows_so_many_are_kept_and_the_rest_is_counted() -> None:
    for broken in ("", "&"):
        root, damage = _read(f"<MediaContainer>{FINE * 5000}{broken}</MediaContainer>", most_rows=100)
        assert (len(root), damage.beyond) == (100, 4900)
        assert "4,900 rows more than can be kept" in damage.describe()


@pytest.mark.parametrize(
    "text",
    [
        f"<MediaContainer>{FINE}{'<a>' * 300_000}{'</a>' * 300_000}</MediaContainer>",
        f"<MediaContainer>{FINE}&<a>{'<b><c>' * DEEPEST}</MediaContainer>",
        f"<MediaContainer>{FINE}{'<a/>' * 1_100_000}<b>{'</b><b>' * 500_000}</b></MediaContainer>",
        f"<MediaContainer>{FINE}<a {LONG}/></MediaContainer>",
    ],
    ids=["nested", "nested and broken", "many", "a long tag"],
)
def test_an_answer_that_asks_too_much_is_read_up_to_there(text: str) -> None:
    root, damage = _read(text)
    assert root[0].get("title") == "Fine"
    assert damage.cut


def test_a_reading_for_which_nobody_waits_ends_between_two_pieces() -> None:
    asked = 0

    def ends() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise TimeoutError

    for broken in ("", "&"):
        asked = 0
        with pytest.raises(TimeoutError):
            read_xml(f"<MediaContainer>{broken}{FINE * 9000}</MediaContainer>".encode(), check=ends)


def test_the_same_damage_is_said_once_and_reaches_whoever_collects_outside() -> None:
    with collect_damage() as outer:
        with collect_damage() as inner:
            inner += [Damage("GET /a", cut=True), Damage("GET /a", cut=True), Damage("GET /b", repaired=2)]
        assert outer == inner
    assert (describe_damage(outer) or "").count("GET /a") == 1


@given(st.text(alphabet='<>/="&;!-?[] \n\x04ab#1', max_size=60), st.booleans())
def test_nothing_between_two_rows_keeps_the_first_from_being_read(noise: str, whole: bool) -> None:
    text = f"<MediaContainer>{FINE}{noise}" + (f"{LAST}</MediaContainer>" if whole else "")
    try:
        root, _ = _read(text)
    except DocumentTypeDeclared:
        return
    assert root[0].get("title") == "Fine"
