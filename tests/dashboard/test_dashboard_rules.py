"""The rules as pages: a list with switches, one rule with what it did and would have done, and the ready-made ones."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, get_args

import httpx2
import pytest
from mcp import Client
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.dashboard.pages.rules_page import OCCURRENCES
from plex_companion.models import OccurrenceName
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.rules.templates import list_templates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HTML = "text/html,application/xhtml+xml"
HOSTILE = "<script>window.hit=1</script> & \u202eon"
ALERT = {"action": "alert", "title": "{data.user.name} plays", "severity": "info"}


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Home]:
    async with home(tmp_path) as running:
        yield running


async def save(it: Home, **changes: Any) -> str:
    """Save a rule about plays that begin, and return its id."""
    rule = {"name": "Anybody plays", "when": ["play.started"], "then": [ALERT], **changes}
    async with Client(it.application.server) as client:
        answer = await client.call_tool("rule_create", {"rule": rule})
    assert not answer.is_error, answer.content
    return max(map(str, it.application.companion.live.state.rules.stored))


async def change(it: Home, rule_id: str) -> None:
    """Make another rule of it, as somebody else may do while a page shows it."""
    changed = {"name": "Anybody stops", "when": ["play.stopped"], "then": [ALERT]}
    async with Client(it.application.server) as client:
        answer = await client.call_tool("rule_update", {"id": rule_id, "rule": changed})
    assert not answer.is_error, answer.content


async def get(it: Home, path: str, status: int = 200) -> str:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}{path}", headers={"accept": HTML})
    assert answer.status_code == status
    return answer.text


async def post(it: Home, path: str, origin: str | None = None, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.post(f"{it.url}{path}", data=fields, headers={"accept": HTML, "origin": origin or it.url})


def read_form(page: str, what: str = "switch") -> dict[str, str]:
    """Return the hidden fields of the only form that switches a rule, or does something else with it."""
    (form,) = re.findall(rf'<form method="post" action="/rules/\d+/{what}">.*?</form>', page, re.DOTALL)
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def is_enabled(it: Home, rule_id: str) -> bool:
    return it.application.companion.live.state.rules.stored[int(rule_id)].enabled


def test_every_occurrence_has_words_for_people() -> None:
    assert set(OCCURRENCES) == set(get_args(OccurrenceName))


async def test_without_rules_the_page_says_how_to_get_one(it: Home) -> None:
    page = await get(it, "/rules")
    assert "No rules yet." in page
    assert 'href="/rules/templates"' in page
    assert '<a href="/rules" aria-current="page">Rules</a>' in page


async def test_a_rule_is_switched_on_after_a_question_and_off_at_once(it: Home) -> None:
    rule_id = await save(it)
    page = await get(it, "/rules")
    assert "Turn this rule on?" in page
    assert "When somebody starts" in page
    form = read_form(page)
    assert form["enabled"] == "true"
    answer = await post(it, f"/rules/{rule_id}/switch", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules")
    assert is_enabled(it, rule_id)
    page = await get(it, f"/rules/{rule_id}")
    assert "Turn this rule on?" not in page
    answer = await post(it, f"/rules/{rule_id}/switch", **read_form(page))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/rules/{rule_id}")
    assert not is_enabled(it, rule_id)


async def test_a_rule_that_was_changed_meanwhile_is_not_switched_on(it: Home) -> None:
    rule_id = await save(it)
    form = read_form(await get(it, "/rules"))
    await change(it, rule_id)
    answer = await post(it, f"/rules/{rule_id}/switch", **form)
    assert answer.status_code == 409
    assert "was changed meanwhile" in answer.text
    assert not is_enabled(it, rule_id)


async def test_no_other_site_and_no_nonsense_switches_a_rule(it: Home) -> None:
    rule_id = await save(it)
    form = read_form(await get(it, "/rules"))
    assert (await post(it, f"/rules/{rule_id}/switch", "http://elsewhere.example", **form)).status_code == 403
    assert (await post(it, f"/rules/{rule_id}/switch", enabled="perhaps")).status_code == 400
    assert (await post(it, "/rules/4711/switch", **form)).status_code == 404
    assert not is_enabled(it, rule_id)


async def test_what_a_rule_did_and_missed_stands_on_its_page(it: Home) -> None:
    films = it.demo.state.list_kind("movie")
    rule_id = await save(it, only_if=f'data.item.title == "{films[0].title}" && data.item.type == "movie"')
    await post(it, f"/rules/{rule_id}/switch", **read_form(await get(it, "/rules")))
    it.demo.start(films[1], user=1, player=1)
    await it.until(lambda: it.application.companion.live.state.rules.stored[int(rule_id)].near_misses)
    it.demo.start(films[0], user=0, player=0)
    await it.until(lambda: it.application.companion.live.state.rules.stored[int(rule_id)].fired)
    page = html.unescape(await get(it, f"/rules/{rule_id}"))
    assert f"<bdi>A play began: {films[0].title}" in page
    assert "Alert: opened" in page
    assert "Last near misses" in page
    text = re.sub("<[^>]+>", "", await get(it, "/rules"))
    assert "Fired 1 time, last" in text
    assert "1 near miss" in text


async def test_a_rule_is_tried_on_the_past_when_that_is_asked_for(it: Home) -> None:
    rule_id = await save(it)
    it.demo.start(it.demo.get_movie(1), user=1)
    await it.until(lambda: any(one.listed for one in it.sessions.values()))
    assert "it would have fired" not in await get(it, f"/rules/{rule_id}")
    page = html.unescape(re.sub("<[^>]+>", "", await get(it, f"/rules/{rule_id}?since=7d")))
    assert "it would have fired 1 time (Jasper O'Dell 1)" in page
    assert "What happened is known from" in page
    assert "is not a time" in await get(it, f"/rules/{rule_id}?since=soon")


@pytest.mark.parametrize("path", ["/rules/4711", "/rules/x", "/rules/9999999999999999999999"])
async def test_a_rule_that_is_not_there_is_a_page_that_says_so(it: Home, path: str) -> None:
    page = await get(it, path, 404)
    assert "There is no rule" in page
    assert "rule_create" not in page


async def test_a_part_of_the_list_that_does_not_exist_is_refused(it: Home) -> None:
    assert "This part of the list does not exist." in await get(it, f"/rules/{await save(it)}?cursor=x", 400)


async def test_names_of_rules_are_text(it: Home) -> None:
    rule_id = await save(it, name=HOSTILE)
    for path in ("/rules", f"/rules/{rule_id}"):
        page = await get(it, path)
        assert "window.hit=1&lt;/script&gt;" in page
        assert "<script>window" not in page
        assert "\u202e" not in page


async def test_the_ready_made_rules_are_shown_with_their_sentences(it: Home) -> None:
    page = await get(it, "/rules/templates")
    for rule in list_templates():
        assert rule.name in page
    assert "When " in page
    assert "&#34;when&#34;" in page


async def test_a_ready_made_rule_is_saved_turned_off_and_tried_on_the_past(it: Home) -> None:
    page = await get(it, "/rules/templates")
    assert 'aria-label="Save: Plex out of reach for 5 minutes"' in page
    answer = await post(it, "/rules/templates", name="Plex out of reach for 5 minutes")
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules/1?since=30d#past")
    assert not is_enabled(it, "1")
    assert "it would have fired" in await get(it, "/rules/1?since=30d")
    assert '<a href="/rules/1" aria-label="Saved: Plex out of reach for 5 minutes">' in await get(
        it, "/rules/templates"
    )


async def test_saving_a_ready_made_rule_twice_leads_to_the_one_that_is_there(it: Home) -> None:
    first, second = [await post(it, "/rules/templates", name="A new player") for _ in range(2)]
    assert (second.status_code, second.headers["location"]) == (303, first.headers["location"])
    assert len(it.application.companion.live.state.rules.stored) == 1


async def test_a_ready_made_rule_about_a_person_is_saved_about_the_chosen_one(it: Home) -> None:
    await it.until(lambda: it.application.companion.state.accounts)
    page = html.unescape(await get(it, "/rules/templates?user=Jasper+O%27Dell"))
    assert 'aria-label="Save: Jasper O\'Dell after 21:00"' in page
    assert "Pip after" not in page
    await post(it, "/rules/templates", name="Jasper O'Dell after 21:00", user="Jasper O'Dell")
    saved = decode_rule(it.application.companion.live.state.rules.stored[1])
    assert 'data.user.name == "Jasper O\'Dell"' in saved.only_if


@pytest.mark.parametrize("user", ["nobody", "x" * 10_000, "\u202e"])
async def test_a_person_whom_nobody_knows_is_not_in_the_ready_made_rules(it: Home, user: str) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}/rules/templates", params={"user": user}, headers={"accept": HTML})
    assert answer.status_code == 200
    assert f"{user} after" not in answer.text


async def test_no_other_site_saves_a_rule_and_only_ready_made_ones_are_saved(it: Home) -> None:
    assert (await post(it, "/rules/templates", "http://elsewhere.example", name="A new player")).status_code == 403
    assert (await post(it, "/rules/templates", name="My own")).status_code == 400
    assert not it.application.companion.live.state.rules.stored


async def test_a_rule_is_deleted_from_its_page_after_a_question(it: Home) -> None:
    rule_id = await save(it)
    page = await get(it, f"/rules/{rule_id}")
    assert "Delete this rule?" in page
    answer = await post(it, f"/rules/{rule_id}/delete", **read_form(page, "delete"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules")
    assert not it.application.companion.live.state.rules.stored
    assert "No rules yet." in await get(it, "/rules")
    assert (await post(it, f"/rules/{rule_id}/delete", **read_form(page, "delete"))).status_code == 404


async def test_a_rule_that_was_changed_meanwhile_or_is_deleted_by_another_page_stays(it: Home) -> None:
    rule_id = await save(it)
    form = read_form(await get(it, f"/rules/{rule_id}"), "delete")
    assert (await post(it, f"/rules/{rule_id}/delete", "http://elsewhere.example", **form)).status_code == 403
    await change(it, rule_id)
    answer = await post(it, f"/rules/{rule_id}/delete", **form)
    assert answer.status_code == 409
    assert "was changed meanwhile" in answer.text
    assert rule_id in map(str, it.application.companion.live.state.rules.stored)
