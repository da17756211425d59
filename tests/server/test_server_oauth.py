"""OAuth as a resource server: an issuer's tokens open the MCP routes, as far as their scopes go."""

from __future__ import annotations

import base64
import hmac
import json
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from support.deadlines import HANG_SECONDS
from support.mcp_server import LEGACY, MODERN, served, until
from support.oauth_issuer import AUDIENCE, EC_KEY, OTHER_RSA_KEY, PUBLIC, RSA_KEY, SmallIssuer, issuing, public
from support.sse import open_sse

from plex_companion.server.auth.config import AuthConfig
from plex_companion.server.auth.jwks import AGAIN_SECONDS, FAILED_SECONDS, KEPT_SECONDS, JwksClient, KeysUnavailable
from plex_companion.server.auth.login_throttle import LoginThrottle
from plex_companion.server.auth.oauth import ResourceServer, TokenRejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from support.mcp_server import Served

OWN = "the-owners-own-token"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}},
}
ACCEPT = {"accept": "application/json, text/event-stream"}


async def _page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[SmallIssuer]:
    async with issuing() as served_issuer:
        yield served_issuer


@pytest.fixture(scope="module")
async def running(issuer: SmallIssuer) -> AsyncIterator[Served]:
    entry = AuthConfig(
        token=OWN,
        issuer=ResourceServer(issuer.url, PUBLIC),
        throttle=LoginThrottle(first_seconds=0.0),
        hosts=("plex.example",),
    )
    async with served(entry=entry, extra_routes=[Route("/", _page)]) as one:
        yield one


async def _post(
    running: Served, token: str | None, body: Any = HELLO, path: str = "/mcp", **more: str
) -> httpx2.Response:
    headers = {**ACCEPT, **({"authorization": f"Bearer {token}"} if token else {}), **more}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.post(running.url + path, json=body, headers=headers)


def _web(token: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=HANG_SECONDS)


# Judging


async def _denied(server: ResourceServer, token: str) -> TokenRejected:
    with pytest.raises(TokenRejected) as raised:
        await server.verify(token)
    return raised.value


@pytest.fixture(scope="module")
async def server(issuer: SmallIssuer) -> ResourceServer:
    return ResourceServer(issuer.url, PUBLIC)


async def test_a_good_token_speaks_for_its_client_and_subject(server: ResourceServer, issuer: SmallIssuer) -> None:
    for token in (issuer.token(), issuer.token(EC_KEY, "ES256", "two"), issuer.token(aud=["other", AUDIENCE])):
        access = (await server.verify(token)).user.access_token
        assert (access.client_id, access.subject, access.scopes) == ("host", "ada", ["read"])
        assert token not in repr(access)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read write"}, ["read", "write"]),
        ({"scope": None, "scp": ["read"]}, ["read"]),
        ({"scope": None, "scp": "read write"}, ["read", "write"]),
        ({"scope": None}, []),
        ({"scope": 7}, []),
        ({"scope": ["read", 7]}, ["read"]),
    ],
)
async def test_scopes_are_read_as_issuers_write_them(
    server: ResourceServer, issuer: SmallIssuer, claims: dict[str, Any], scopes: list[str]
) -> None:
    assert (await server.verify(issuer.token(**claims))).user.scopes == scopes


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "https://other.example/mcp"},
        {"aud": PUBLIC},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
)
async def test_a_token_that_was_signed_and_is_not_for_us_or_not_for_now_is_denied_and_no_guess(
    server: ResourceServer, issuer: SmallIssuer, claims: dict[str, Any]
) -> None:
    assert not (await _denied(server, issuer.token(**claims))).is_forged


def _forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def test_an_unsigned_token_is_a_guess(server: ResourceServer, issuer: SmallIssuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    for algorithm in ("none", "None", "NONE", "", None, 7):
        assert (await _denied(server, _forged({"alg": algorithm, "kid": "one"}, claims))).is_forged


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_a_guess(
    server: ResourceServer, issuer: SmallIssuer
) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    formats = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    pem = RSA_KEY.public_key().public_bytes(*formats)
    for secret in (pem, json.dumps(public("one", RSA_KEY)).encode()):
        unsigned = _forged({"alg": "HS256", "kid": "one", "typ": "JWT"}, claims).removesuffix(".")
        signature = base64.urlsafe_b64encode(hmac.digest(secret, unsigned.encode(), "sha256")).decode().rstrip("=")
        assert (await _denied(server, f"{unsigned}.{signature}")).is_forged


async def test_another_key_under_a_known_name_and_a_key_of_another_kind_are_guesses(
    server: ResourceServer, issuer: SmallIssuer
) -> None:
    for token in (
        issuer.token(OTHER_RSA_KEY),
        issuer.token(EC_KEY, "ES256", "one"),
        issuer.token(RSA_KEY, "RS256", "two"),
        issuer.token(OTHER_RSA_KEY, kid="nobody-knows"),
        issuer.token(kid=None),
        issuer.token()[:-6] + "AAAAAA",
        "x",
        "a.b.c",
        "." * 20_000,
        "",
    ):
        assert (await _denied(server, token)).is_forged, token[:40]


async def test_a_slash_at_the_end_of_the_issuer_does_not_matter(issuer: SmallIssuer) -> None:
    for written in (issuer.url, f"{issuer.url}/"):
        for claimed in (issuer.url, f"{issuer.url}/"):
            await ResourceServer(written, PUBLIC).verify(issuer.token(iss=claimed))


async def test_an_audience_that_is_set_is_the_only_one(issuer: SmallIssuer) -> None:
    server = ResourceServer(issuer.url, PUBLIC, ["api://plex"])
    await server.verify(issuer.token(aud="api://plex"))
    await _denied(server, issuer.token())


async def test_a_token_may_leave_out_the_name_of_the_only_key() -> None:
    async with issuing(public(None, RSA_KEY)) as issuer:
        await ResourceServer(issuer.url, PUBLIC).verify(issuer.token(kid=None))


@pytest.mark.parametrize("key", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "AAAA"}, {"n": "AQ", "e": "AQ"}])
async def test_a_key_that_is_not_for_this_is_not_used(key: dict[str, Any]) -> None:
    async with issuing({**public("one", RSA_KEY), **key}, public("two", EC_KEY)) as issuer:
        assert (await _denied(ResourceServer(issuer.url, PUBLIC), issuer.token())).is_forged


# The keys


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_keys_are_fetched_once_and_kept_for_an_hour() -> None:
    clock = Clock()
    async with issuing() as issuer:
        keys = JwksClient(issuer.url, now=clock)
        for _ in range(3):
            assert await keys.find("one", "RS256")
        assert issuer.asked == ["/.well-known/oauth-authorization-server", "/keys"]
        clock.now += KEPT_SECONDS + 1
        assert await keys.find("one", "RS256")
        assert issuer.asked.count("/keys") == 2


async def test_a_new_key_is_found_and_invented_names_do_not_make_us_ask_again_and_again() -> None:
    clock = Clock()
    async with issuing() as issuer:
        keys = JwksClient(issuer.url, f"{issuer.url}/keys", now=clock)
        assert await keys.find("one", "RS256")
        issuer.keys.append(public("new", OTHER_RSA_KEY))
        for name in ("a", "b", "c", "new"):
            assert await keys.find(name, "RS256") is None
        assert issuer.asked == ["/keys"]
        clock.now += AGAIN_SECONDS
        assert await keys.find("new", "RS256")
        assert issuer.asked == ["/keys", "/keys"]


async def test_many_who_need_the_keys_at_once_make_one_request() -> None:
    async with issuing() as issuer:
        keys = JwksClient(issuer.url, f"{issuer.url}/keys")
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(keys.find, "one", "RS256")
        assert issuer.asked == ["/keys"]


async def test_whoever_gives_up_waiting_does_not_keep_the_next_one_from_asking() -> None:
    async with issuing() as issuer:
        keys = JwksClient(issuer.url, f"{issuer.url}/keys")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await keys.find("one", "RS256")
        assert await keys.find("one", "RS256")


REDIRECT = "HTTP/1.1 302 Found\r\nLocation: /keys2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _ok(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"


@pytest.mark.parametrize(
    "answer",
    [
        REDIRECT,
        "nonsense",
        _ok("nonsense"),
        _ok("[]"),
        _ok("{}"),
        _ok('{"keys": 7}'),
        _ok('{"keys": [7]}'),
        _ok("[" * 100_000),
        _ok(json.dumps({"keys": ["x" * 300_000]})),
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
)
async def test_nonsense_in_place_of_keys_is_no_keys_and_asked_for_again_soon(answer: str) -> None:
    clock = Clock()
    async with issuing() as issuer:
        issuer.answers["/keys"] = answer
        keys = JwksClient(issuer.url, f"{issuer.url}/keys", now=clock)
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                await keys.find("one", "RS256")
        assert issuer.asked == ["/keys"]
        del issuer.answers["/keys"]
        clock.now += FAILED_SECONDS
        assert await keys.find("one", "RS256")


async def test_keys_that_are_known_go_on_when_the_issuer_is_away() -> None:
    clock = Clock()
    async with issuing() as issuer:
        keys = JwksClient(issuer.url, f"{issuer.url}/keys", now=clock)
        assert await keys.find("one", "RS256")
    clock.now += KEPT_SECONDS + 1
    assert await keys.find("one", "RS256")


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://evil.example/keys"}, {"jwks_uri": 7}]
)
async def test_metadata_of_somebody_else_or_with_keys_over_plain_http_is_not_believed(metadata: dict[str, Any]) -> None:
    async with issuing() as issuer:
        right = issuer.body("/.well-known/oauth-authorization-server")
        issuer.answers["/.well-known/oauth-authorization-server"] = _ok(json.dumps({**right, **metadata}))
        with pytest.raises(KeysUnavailable):
            await JwksClient(issuer.url).find("one", "RS256")
        assert "/keys" not in issuer.asked


async def test_metadata_is_found_where_openid_puts_it_too() -> None:
    async with issuing() as issuer:
        right = _ok(json.dumps({"issuer": f"{issuer.url}/realm", "jwks_uri": f"{issuer.url}/keys"}))
        issuer.answers["/realm/.well-known/openid-configuration"] = right
        assert await JwksClient(f"{issuer.url}/realm").find("one", "RS256")


# The door


async def test_without_a_token_a_client_is_told_where_to_get_one(running: Served) -> None:
    for path, resource in (("/mcp", "mcp"), ("/sse", "sse"), ("/messages/?session_id=0", "sse")):
        answer = await _post(running, None, path=path)
        assert answer.status_code == 401
        metadata = f"{PUBLIC}/.well-known/oauth-protected-resource/{resource}"
        assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{metadata}", scope="read"'


@pytest.mark.parametrize("resource", ["mcp", "sse"])
async def test_the_metadata_names_resource_issuer_and_scopes_to_everyone(
    running: Served, issuer: SmallIssuer, resource: str
) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{running.url}/.well-known/oauth-protected-resource/{resource}")
    reported = answer.json()
    assert reported["resource"] == f"{PUBLIC}/{resource}"
    assert [one.rstrip("/") for one in reported["authorization_servers"]] == [issuer.url]
    assert reported["scopes_supported"] == ["read", "write"]
    assert reported["bearer_methods_supported"] == ["header"]


async def test_a_bad_token_is_refused_with_the_reason(running: Served, issuer: SmallIssuer) -> None:
    answer = await _post(running, issuer.token(exp=1_000_000_000))
    assert answer.status_code == 401
    assert 'error="invalid_token", error_description="It has expired."' in answer.headers["www-authenticate"]
    assert (await _post(running, "wrong")).status_code == 401


async def test_a_token_without_read_is_too_weak(running: Served, issuer: SmallIssuer) -> None:
    answer = await _post(running, issuer.token(scope="write"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="read"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_read_reads_and_does_not_write(running: Served, issuer: SmallIssuer, era: str, kind: str) -> None:
    async with _client(running, issuer.token(), era, kind) as client:
        assert (await client.call_tool("lamp_level", {})).structured_content == {"level": running.lamp_server.level}
        with anyio.fail_after(HANG_SECONDS):
            try:
                answer = (await client.call_tool("lamp_brighten", {"level": 9})).model_dump_json()
            except MCPError as error:  # the SDK's own words for a 403
                answer = str(error)
    assert ("insufficient_scope" in answer) is (kind == "sse"), answer
    assert running.lamp_server.level != 9


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_noting_that_something_was_seen_needs_the_scope_write(
    running: Served, issuer: SmallIssuer, era: str, kind: str
) -> None:
    running.lamp_server.seen = 0
    async with _client(running, issuer.token(), era, kind) as client:
        with anyio.fail_after(HANG_SECONDS):
            try:
                answer = (await client.call_tool("lamp_seen", {})).model_dump_json()
            except MCPError as error:  # the SDK's own words for a 403
                answer = str(error)
    assert ("insufficient_scope" in answer) is (kind == "sse"), answer
    assert running.lamp_server.seen == 0
    async with _client(running, issuer.token(scope="read write"), era, kind) as client:
        await client.call_tool("lamp_seen", {})
    assert running.lamp_server.seen == 1


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_write_writes(running: Served, issuer: SmallIssuer, era: str, kind: str) -> None:
    async with _client(running, issuer.token(scope="read write"), era, kind) as client:
        await client.call_tool("lamp_brighten", {"level": 5})
    assert running.lamp_server.level == 5
    running.lamp_server.level = 0


@asynccontextmanager
async def _client(running: Served, token: str, era: str, kind: str) -> AsyncIterator[Client]:
    async with _web(token) as web:
        over_sse = open_sse(f"{running.url}/sse", headers={"authorization": f"Bearer {token}"})
        target = over_sse if kind == "sse" else streamable_http_client(f"{running.url}/mcp", http_client=web)
        async with Client(target, mode=era) as client:
            yield client


async def test_a_write_without_the_scope_is_answered_with_the_scope_to_ask_for(
    running: Served, issuer: SmallIssuer
) -> None:
    body = {**CALL, "params": {"name": "lamp_brighten", "arguments": {"level": 9}}}
    answer = await _post(running, issuer.token(), body)
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="read write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("params", [None, 7, {"name": 7}, {"name": "lamp_level", "arguments": 7}, {"name": "nobody"}])
async def test_nonsense_is_left_to_the_protocol_to_refuse(running: Served, issuer: SmallIssuer, params: Any) -> None:
    assert (await _post(running, issuer.token(), {**CALL, "params": params})).status_code != 403


async def test_a_session_answers_only_whoever_opened_it(running: Served, issuer: SmallIssuer) -> None:
    opened = await _post(running, issuer.token())
    session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    assert (await _post(running, issuer.token(), ping, **session)).status_code == 200
    assert (await _post(running, issuer.token(sub="eve"), ping, **session)).status_code == 404


async def test_a_stream_ends_with_the_token_that_opened_it(running: Served, issuer: SmallIssuer) -> None:
    token = issuer.token(exp=int(time.time()) - 25)  # a clock may be wrong by 30 seconds
    async with (
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        web.stream("GET", f"{running.url}/sse", headers={"authorization": f"Bearer {token}"}) as stream,
    ):
        assert stream.status_code == 200
        with anyio.fail_after(HANG_SECONDS):
            async for _ in stream.aiter_bytes():
                pass
    await until(lambda: len(running.app.responses) == 0)


async def test_the_owners_own_token_opens_everything_and_the_issuers_only_mcp(
    running: Served, issuer: SmallIssuer
) -> None:
    body = {**CALL, "params": {"name": "lamp_level", "arguments": {}}}
    assert (await _post(running, OWN, HELLO)).status_code == 200
    assert (await _post(running, OWN, body)).status_code != 403
    for token, status in ((OWN, 200), (issuer.token(scope="read write"), 401)):
        async with _web(token) as web:
            assert (await web.get(f"{running.url}/")).status_code == status


async def test_whoever_guesses_from_the_same_address_keeps_no_token_of_the_issuer_waiting(issuer: SmallIssuer) -> None:
    failures = LoginThrottle()
    entry = AuthConfig(token=OWN, issuer=ResourceServer(issuer.url, PUBLIC), throttle=failures)
    async with served(entry=entry) as running:
        with ExitStack() as held:
            for _ in range(4):
                held.enter_context(failures.count_failure("127.0.0.1"))
            assert (await _post(running, "wrong")).status_code == 429
            assert (await _post(running, OWN)).status_code == 429
            with anyio.fail_after(HANG_SECONDS):
                assert (await _post(running, issuer.token())).status_code == 200


async def test_while_the_issuer_cannot_be_asked_it_is_nobodys_fault(issuer: SmallIssuer) -> None:
    entry = AuthConfig(token=OWN, issuer=ResourceServer("http://127.0.0.1:9", PUBLIC))
    async with served(entry=entry) as running:
        answer = await _post(running, issuer.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await _post(running, OWN)).status_code == 200
