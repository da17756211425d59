"""Which addresses may be called back, and how a message to them is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from msgspec.structs import replace
from support.event_clients import KEY, SECRET

from plex_companion.mcp_events.callback_urls import parse_callback_url
from plex_companion.mcp_events.event_errors import EventError, EventErrorCode
from plex_companion.mcp_events.signatures import build_signed_headers, decode_secret, list_keys, sign
from plex_companion.models import DeliveryProgress, EventSubscription

REFUSED = [
    "",
    "hook",
    "ftp://hooks.example/x",
    "http://hooks.example/x",
    "https://",
    "https:///x",
    "https://hooks.example:0/x",
    "https://hooks.example:99999/x",
    "https://ann:secret@hooks.example/x",
    "https://ann@hooks.example/x",
    "https://hooks.example/x#part",
    "https://hooks.example/x#",
    "https://hooks.example/a b",
    "https://hooks.example/\n",
    "https://höoks.example/",
    f"https://hooks.example/{'x' * 2_048}",
    "https://127.0.0.1/x",
    "https://0.0.0.0/x",
    "https://10.1.2.3/x",
    "https://172.16.0.1/x",
    "https://192.168.0.1/x",
    "https://100.64.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://192.0.2.1/x",
    "https://198.18.0.1/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[fe80::1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fd00::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "https://[2002:a00:1::]/x",
    "https://[2001:db8::1]/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.1/x",
    "https://127.1/x",
    "https://0177.0.0.1/x",
    "https://10.0.0.1./x",
    "https://134744072/x",
]


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_public_or_not_https_is_refused(url: str, *, loopback: bool) -> None:
    with pytest.raises(EventError) as refused:
        parse_callback_url(url, loopback=loopback)
    assert refused.value.code == EventErrorCode.INVALID_PARAMS
    assert refused.value.facts == {"argument": "delivery.url"}
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://hooks.example/x?mcp_event_subscription=1", "hooks.example", 443),
        ("https://Hooks.Example:8443/x", "hooks.example", 8443),
        ("https://8.8.8.8/x", "8.8.8.8", 443),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444),
        ("https://4chan.example/", "4chan.example", 443),
    ],
)
def test_a_public_address_is_accepted_and_kept_as_it_is_written(url: str, host: str, port: int) -> None:
    parsed = parse_callback_url(url, loopback=False)
    assert (parsed.text, parsed.host, parsed.port, parsed.is_loopback) == (url, host, port, False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://[::1]:8080/x", "http://127.0.0.1/"])
def test_a_literal_loopback_address_is_admitted_by_its_setting_alone(url: str) -> None:
    assert parse_callback_url(url, loopback=True).is_loopback
    with pytest.raises(EventError):
        parse_callback_url(url, loopback=False)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/x", "http://127.0.0.2/x", "http://127.1/x", "http://[0:0:0:0:0:0:0:1]/x"]
)
def test_no_other_spelling_of_loopback_is_admitted(url: str) -> None:
    with pytest.raises(EventError):
        parse_callback_url(url, loopback=True)


def secret_of(size: int) -> str:
    return f"whsec_{base64.b64encode(bytes(size)).decode()}"


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_has_24_to_64_bytes(size: int) -> None:
    assert decode_secret(secret_of(size)) == bytes(size)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", secret_of(23), secret_of(65), secret_of(32)[6:], "whsec_***", f"{secret_of(32)}!", "x" * 10_000],
)
def test_another_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(EventError) as refused:
        decode_secret(secret)
    assert refused.value.code == EventErrorCode.INVALID_PARAMS
    assert not secret or secret not in refused.value.message or secret == "whsec_"


def test_a_message_is_signed_as_standard_webhooks_says_once_for_each_key() -> None:
    other = bytes(32)
    first, second = sign("k7-1", 1_795_874_531, b"{}", [KEY, other]).split(" ")
    for signature, key in ((first, KEY), (second, other)):
        digest = hmac.new(key, b"k7-1.1795874531.{}", hashlib.sha256).digest()
        assert signature == f"v1,{base64.b64encode(digest).decode()}"


def test_a_message_names_its_subscription_and_its_id() -> None:
    headers = build_signed_headers("sub_1", "k7-1", 5, b"{}", [KEY])
    assert (headers["x-mcp-subscription-id"], headers["webhook-id"], headers["webhook-timestamp"]) == (
        "sub_1",
        "k7-1",
        "5",
    )


def test_the_key_before_the_last_one_counts_for_a_while() -> None:
    progress = DeliveryProgress("k7-0")
    now = EventSubscription("sub_1", "p", "u", "n", "{}", SECRET, "r", 0, 10, progress)
    assert list_keys(now, 0) == [KEY]
    changed = replace(now, secret=secret_of(32), previous_secret=SECRET, previous_until=5)
    assert list_keys(changed, 4) == [bytes(32), KEY]
    assert list_keys(changed, 5) == [bytes(32)]


def test_a_subscription_shows_no_secret_of_its_own() -> None:
    shown = repr(EventSubscription("sub_1", "p", "https://u", "n", "{}", SECRET, "r", 0, 10, DeliveryProgress("k7-0")))
    assert shown == "EventSubscription(sub_1, n)"
