"""Webhooks that clients subscribe by MCP Events: verified, signed, kept over restarts, and never a secret left behind."""

from __future__ import annotations

import base64
import json
import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp.client.streamable_http import streamable_http_client
from support.application import home
from support.deadlines import HANG_SECONDS
from support.event_clients import KEY, SECRET, EventsClient, callback_receiver, events_client
from support.oauth_issuer import PUBLIC, issuing

from plex_companion.demo import open_demo
from plex_companion.server.mcp.event_methods import webhook_methods
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.application import Home
    from support.event_clients import CallbackReceiver

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-companion"
OTHER_KEY = bytes(range(32))
OTHER_SECRET = f"whsec_{base64.b64encode(OTHER_KEY).decode()}"
STARTED, PAUSED = "play.started", "play.paused"
WEBHOOKS: dict[str, Any] = {"event_webhooks": True, "event_webhooks_loopback": True}


@asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[Home]:
    """A home whose callers have a token and may subscribe webhooks on loopback."""
    async with home(folder, **{"token": TOKEN, **WEBHOOKS, **more}) as it:
        yield it


@asynccontextmanager
async def caller(it: Home, token: str = TOKEN) -> AsyncIterator[EventsClient]:
    """A client with a token."""
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=HANG_SECONDS) as web,
        events_client(streamable_http_client(f"{it.url}/mcp", http_client=web)) as client,
    ):
        yield client


def to(hook: CallbackReceiver | str, secret: str | None = SECRET, name: str = STARTED, **more: Any) -> dict[str, Any]:
    """The parameters of a subscription."""
    url = hook if isinstance(hook, str) else hook.url
    delivery = {"mode": "webhook", "url": url, **({"secret": secret} if secret is not None else {})}
    return {"name": name, "arguments": {}, "delivery": delivery, **more}


async def rows(it: Home) -> list[dict[str, Any]]:
    """The subscriptions in the database."""
    found = await it.application.companion.cache.reader.execute_fetchall("SELECT * FROM event_subscriptions")
    return [dict(row) for row in found]


async def refreshed(client: EventsClient, hook: CallbackReceiver) -> dict[str, Any]:
    """How deliveries went, as a refresh says."""
    found: dict[str, Any] = (await client.request("events/subscribe", **to(hook)))["deliveryStatus"]
    return found


async def until_gone(it: Home) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while await rows(it):
            await it.application.companion.live.wait_for_commit()


async def test_a_subscribed_webhook_is_verified_and_gets_what_happens_signed(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver() as hook, caller(it) as client:
        listed = (await client.request("events/list"))["events"]
        assert {tuple(one["delivery"]) for one in listed} == {("poll", "push", "webhook")}
        answer = await client.request("events/subscribe", **to(hook))
        assert answer["truncated"] is False
        assert "deliveryStatus" not in answer
        (challenge,) = hook.challenges
        assert challenge.is_signed_with(KEY)
        before = await client.request("events/poll", name=STARTED)
        assert answer["cursor"] == before["cursor"]
        it.demo.start()
        (got,) = await hook.until(1)
        polled = await client.request("events/poll", name=STARTED, cursor=before["cursor"])
        (event,) = polled["events"]
        assert got.message == {**event, "cursor": before["cursor"]}
        assert got.id == event["eventId"]
        assert got.is_signed_with(KEY)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["x-mcp-subscription-id"] == challenge.headers["x-mcp-subscription-id"] == answer["id"]


async def test_a_receiver_that_is_not_ready_gets_the_same_message_again_soon(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver("503 Later", "204 OK") as hook, caller(it) as client:
        await client.request("events/subscribe", **to(hook))
        it.demo.start()
        first, second = await hook.until(2)
        assert (first.id, first.body) == (second.id, second.body)
        with anyio.fail_after(HANG_SECONDS):
            while True:
                status = await refreshed(client, hook)
                if status["lastDeliveryAt"] is not None:
                    break
                await it.application.companion.live.wait_for_commit()
        assert (status["active"], status["lastError"]) == (True, None)
        assert len(hook.challenges) == 1, "a refresh verifies nothing again"


async def test_one_message_that_fails_holds_up_no_other_and_keeps_the_watermark(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver("500 Oops", "204 OK") as hook, caller(it) as client:
        answer = await client.request("events/subscribe", **to(hook, name="play.paused"))
        session = it.demo.start()
        await it.until(lambda: it.sessions)
        it.demo.pause(session)
        await hook.until(1)
        it.demo.resume(session)
        it.demo.pause(session)
        got = await hook.until(3)
        assert len({one.id for one in got}) == 2
        position = got[0].message["cursor"]
        assert position >= answer["cursor"]
        assert [one.message["cursor"] for one in got[:2]] == [position, position]


async def test_a_refresh_changes_secret_and_end_and_ignores_the_cursor(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver() as hook, caller(it) as client:
        first = await client.request("events/subscribe", **to(hook, ttlMs=60_000))
        it.demo.start()
        await hook.until(1)
        again = await client.request("events/subscribe", **to(hook, OTHER_SECRET, ttlMs=None, cursor=first["cursor"]))
        assert (again["id"], again["truncated"]) == (first["id"], False)
        assert again["refreshBefore"] > first["refreshBefore"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", again["refreshBefore"])
        it.demo.start(user=1, player=1)
        _, second = await hook.until(2)
        assert second.is_signed_with(OTHER_KEY)
        assert second.is_signed_with(KEY), "for a while both count"
        (row,) = await rows(it)
        assert row["expires_at"] - row["refreshed_at"] == DAY_MS


async def test_a_new_subscription_replays_from_its_cursor(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver() as hook, caller(it) as client:
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        it.demo.start()
        async with client.stream(STARTED, cursor=before) as got:
            (pushed,) = await got.until("event")
        await client.request("events/subscribe", **to(hook, cursor=before))
        (replayed,) = await hook.until(1)
        assert replayed.id == pushed.params["eventId"]
        late = await client.request("events/subscribe", **to(f"{hook.url}&late", cursor=before, maxAgeMs=0))
        assert late["truncated"] is True
        foreign = await client.request("events/subscribe", **to(f"{hook.url}&foreign", cursor="00000000-1"))
        assert foreign["truncated"] is True


async def test_a_subscription_outlives_a_restart_and_gets_what_happened_meanwhile_once(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, callback_receiver() as hook:
        async with serving(tmp_path, demo=demo) as it, caller(it) as client:
            await client.request("events/subscribe", **to(hook))
            demo.start()
            await hook.until(1)
            with anyio.fail_after(HANG_SECONDS):
                while (await refreshed(client, hook))["lastDeliveryAt"] is None:
                    await it.application.companion.live.wait_for_commit()
        async with serving(tmp_path, demo=demo) as it, caller(it) as client:
            demo.start(user=1, player=1)
            got = await hook.until(2)
            assert len({one.id for one in got}) == len(got) == 2
            assert len(hook.challenges) == 1
            assert await client.request("events/unsubscribe", **to(hook, None)) is not None
            assert await rows(it) == []


async def test_another_process_subscribes_and_the_one_that_listens_delivers(tmp_path: Path) -> None:
    async with (
        open_demo(alive=False) as demo,
        callback_receiver() as hook,
        serving(tmp_path, demo=demo) as leader,
        serving(tmp_path, demo=demo) as follower,
        caller(follower) as client,
    ):
        assert not follower.application.companion.live.listens
        await client.request("events/subscribe", **to(hook))
        demo.start()
        (got,) = await hook.until(1)
        assert got.is_signed_with(KEY)
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=HANG_SECONDS) as web:
            metrics = (await web.get(f"{leader.url}/metrics")).text
        assert "plex_companion_mcp_event_webhooks 1.0" in metrics
        await client.request("events/unsubscribe", **to(hook, None))
        await leader.until(lambda: not leader.application.companion.state.event_subscriptions)


async def test_events_that_were_lost_are_announced_as_a_gap(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, callback_receiver() as hook:
        async with serving(tmp_path, demo=demo) as it, caller(it) as client:
            answer = await client.request("events/subscribe", **to(hook, name=PAUSED))
        async with home(tmp_path, demo=demo) as it:  # without the setting, nothing is delivered
            cache = it.application.companion.cache
            demo.start()
            sql = "SELECT count(*) FROM occurrences WHERE type = 'play.started'"
            with anyio.fail_after(HANG_SECONDS):
                while next(iter(await cache.reader.execute_fetchall(sql)))[0] == 0:
                    await it.application.companion.live.wait_for_commit()
            await cache.transact(lambda connection: connection.execute("DELETE FROM occurrences"))
        assert hook.received == []
        async with serving(tmp_path, demo=demo):
            (gap,) = await hook.until(1)
            assert gap.message["type"] == "gap"
            assert gap.message["cursor"] > answer["cursor"]
            assert gap.id.startswith("msg_gap_")


async def test_a_caller_whose_token_was_replaced_is_told_that_its_subscription_is_over(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, callback_receiver() as hook:
        async with serving(tmp_path, demo=demo) as it, caller(it) as client:
            await client.request("events/subscribe", **to(hook))
        async with serving(tmp_path, demo=demo, token="another-token-of-it") as it:
            (ended,) = await hook.until(1)
            assert ended.message["type"] == "terminated"
            assert ended.message["error"]["code"] == -32024
            await until_gone(it)


async def test_an_address_that_is_not_allowed_any_more_is_called_no_more(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, callback_receiver() as hook:
        async with serving(tmp_path, demo=demo) as it, caller(it) as client:
            await client.request("events/subscribe", **to(hook))
        demo.start()
        async with serving(tmp_path, demo=demo, event_webhooks_loopback=False) as it:
            await until_gone(it)
        assert hook.received == []


BAD_DELIVERIES: list[tuple[dict[str, Any], int, Any]] = [
    ({"mode": "push"}, -32026, {"feature": "deliveryMode", "value": "push"}),
    ({"mode": "webhook"}, -32602, {"argument": "delivery.url"}),
    ({"mode": "webhook", "url": 5, "secret": SECRET}, -32602, {"argument": "delivery.url"}),
    ({"mode": "webhook", "url": "http://hooks.example/x", "secret": SECRET}, -32602, {"argument": "delivery.url"}),
    ({"mode": "webhook", "url": "https://10.0.0.1/x", "secret": SECRET}, -32602, {"argument": "delivery.url"}),
    ({"mode": "webhook", "url": "https://a:b@hooks.example/", "secret": SECRET}, -32602, {"argument": "delivery.url"}),
    ({"mode": "webhook", "url": "https://hooks.example/x"}, -32602, {"argument": "delivery.secret"}),
    ({"mode": "webhook", "url": "https://hooks.example/x", "secret": "short"}, -32602, {"argument": "delivery.secret"}),
    ({"mode": "webhook", "url": "https://hooks.example/x", "secret": 5}, -32602, {"argument": "delivery.secret"}),
]


async def test_bad_subscriptions_get_the_codes_of_the_draft_and_leave_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver() as hook, caller(it) as client:
        for delivery, code, data in BAD_DELIVERIES:
            assert await client.refused("events/subscribe", name=STARTED, delivery=delivery) == (code, data), delivery
        wrong: list[tuple[dict[str, Any], int, Any]] = [
            ({"name": "play.exploded"}, -32023, {"kind": "event"}),
            ({"arguments": {"colour": "red"}}, -32602, {"argument": "arguments.colour"}),
            ({"ttlMs": 0}, -32602, {"argument": "ttlMs"}),
            ({"ttlMs": "1h"}, -32602, {"argument": "ttlMs"}),
            ({"cursor": "garbage"}, -32602, {"argument": "cursor"}),
        ]
        for more, code, data in wrong:
            assert await client.refused("events/subscribe", **{**to(hook), **more}) == (code, data), more
        unknown = (-32023, {"kind": "subscription"})
        assert await client.refused("events/unsubscribe", **to(hook, None)) == unknown
        assert (await rows(it), hook.challenges, hook.received) == ([], [], [])


@pytest.mark.parametrize(
    ("answer", "reason"), [('{"challenge": "guessed"}', "challenge_failed"), ("", "challenge_failed")]
)
async def test_a_callback_that_does_not_return_the_challenge_is_not_subscribed(
    tmp_path: Path, answer: str, reason: str
) -> None:
    async with (
        serving(tmp_path) as it,
        callback_receiver(challenge_answer=answer or "nothing") as hook,
        caller(it) as client,
    ):
        assert await client.refused("events/subscribe", **to(hook)) == (-32027, {"reason": reason})
        nobody = "http://127.0.0.1:1/x"
        assert await client.refused("events/subscribe", **to(nobody)) == (-32027, {"reason": "connection_refused"})
        assert await rows(it) == []


async def test_webhooks_need_a_caller_who_logged_in(tmp_path: Path) -> None:
    async with home(tmp_path, **WEBHOOKS) as it, callback_receiver() as hook, events_client(f"{it.url}/mcp") as client:
        for method in ("events/subscribe", "events/unsubscribe"):
            assert (await client.refused(method, **to(hook)))[0] == -32024
        listed = (await client.request("events/list"))["events"]
        assert {mode for one in listed for mode in one["delivery"]} == {"poll", "push"}
        async with events_client(it.application.server) as in_memory:
            assert (await in_memory.refused("events/subscribe", **to(hook)))[0] == -32024
        assert hook.challenges == []


async def test_one_caller_has_so_many_subscriptions(tmp_path: Path) -> None:
    async with serving(tmp_path) as it, callback_receiver() as hook, caller(it) as client:
        await client.request("events/subscribe", **to(hook))
        copied = ", ".join(name for name in (await rows(it))[0] if name != "id")

        def fill(connection: Any) -> None:
            for number in range(webhook_methods.MOST_SUBSCRIPTIONS - 1):
                sql = f"INSERT INTO event_subscriptions (id, {copied}) SELECT ?, {copied} FROM event_subscriptions LIMIT 1"  # noqa: S608 - our own column names
                connection.execute(sql, (f"sub_{number}",))

        await it.application.companion.cache.transact(fill)
        most = {"limit": "subscriptions", "max": webhook_methods.MOST_SUBSCRIPTIONS}
        assert await client.refused("events/subscribe", **to(hook, name=PAUSED)) == (-32025, most)
        assert (await client.request("events/subscribe", **to(hook)))["truncated"] is False, "a refresh is no new one"


async def test_users_of_an_issuer_do_not_share_subscriptions(tmp_path: Path) -> None:
    async with issuing() as issuer:
        oauth = {"public_url": PUBLIC, "oauth_issuer": issuer.url}
        async with serving(tmp_path, **oauth) as it, callback_receiver() as hook:
            ids = []
            for token in (issuer.token(sub="ada"), issuer.token(sub="ben"), TOKEN):
                async with caller(it, token) as client:
                    ids.append((await client.request("events/subscribe", **to(hook)))["id"])
            async with caller(it, issuer.token(sub="eve")) as client:
                assert (await client.refused("events/unsubscribe", **to(hook, None)))[0] == -32023
            assert len(set(ids)) == len(hook.challenges) == 3
            text = json.dumps(await rows(it))
            assert not any(word in text for word in ("ada", TOKEN, issuer.url))


async def test_secret_and_address_are_in_no_line_of_the_log_and_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plex_companion")
    async with serving(tmp_path) as it, callback_receiver("500 Oops") as hook, caller(it) as client:
        answers: list[Any] = [await client.request("events/subscribe", **to(hook))]
        it.demo.start()
        await hook.until(1)
        with anyio.fail_after(HANG_SECONDS):
            while "does not accept messages" not in caplog.text:  # noqa: ASYNC110 - once the answer was read
                await anyio.sleep(0.01)
        answers.append(await client.request("events/subscribe", **to(hook)))
        answers.append(await client.refused("events/subscribe", **to(hook, f"{SECRET}!")))
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=HANG_SECONDS) as web:
            paths = ("/healthz", "/metrics", "/api/server", "/api/events", "/")
            shown = [(await web.get(f"{it.url}{path}")).text for path in paths]
        said = f"{caplog.text} {answers} {shown} {it.application.companion.state}"
    assert "does not accept messages" in said
    for canary in ("canary-2342", SECRET, SECRET.removeprefix("whsec_"), KEY.decode()):
        assert canary not in said
