"""Opens the connection to an MQTT broker. `aiomqtt` is an extra, imported only where a broker is configured."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from plex_companion.errors import SettingsError
from plex_companion.mqtt.topics import OFFLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiomqtt import Client

    from plex_companion.setting_values import BrokerAddress
    from plex_companion.settings import Settings

INSTALL = "pip install 'plex-companion[mqtt]'"
"""The command that installs the extra."""
TIMEOUT_SECONDS = 5.0
"""How long the broker may take to answer anything."""
KEEPALIVE_SECONDS = 15
"""After one and a half times this without a sign of life, the broker publishes the will."""
LEAVE_SECONDS = 1.0
"""How long a process that ends takes to say so."""
MOST_WAITING = 10_000
"""Messages from the broker that wait to be read: more than the discovery of any household."""
_REFUSED = frozenset({134, 135})
"""Bad user name or password, not authorized (MQTT 5.0, section 3.2.2.2; paho gives the codes of 3.1.1 these numbers)."""


class BrokerLost(Exception):
    """The broker cannot be reached, or was lost. The message says why, for people, and holds no address."""


def require_mqtt(settings: Settings) -> None:
    """Check that what an MQTT broker needs is installed, if one is configured.

    Raises:
        SettingsError: it is not, or cannot work here.
    """
    if settings.mqtt_url is None:
        return
    if os.name == "nt":
        message = "PLEX_COMPANION_MQTT_URL does not work on Windows, whose event loop cannot watch the broker's socket."
        raise SettingsError(f"{message} Run plex-companion in WSL or a container there.")
    try:
        import aiomqtt  # noqa: F401, PLC0415 - an extra
    except ImportError:
        message = f"PLEX_COMPANION_MQTT_URL is set, and the package for it is not installed. Run: {INSTALL}"
        raise SettingsError(message) from None


@asynccontextmanager
async def open_broker(
    address: BrokerAddress, identifier: str, status_topic: str | None = None
) -> AsyncIterator[Client]:
    """Connect to the broker while the block runs. With a status topic, the broker publishes `offline` there at its end.

    A new connection with the same identifier ends the one before. Nothing of a connection outlives it.

    Raises:
        BrokerLost: it cannot be connected, or is lost while the block runs.
    """
    from aiomqtt import MqttError, Will  # noqa: PLC0415 - an extra

    from plex_companion.mqtt.guarded_client import GuardedClient  # noqa: PLC0415 - it imports the extra

    context = ssl.create_default_context() if address.tls else None
    await _probe(address, context)
    client = GuardedClient(
        address.host,
        address.port,
        username=address.username,
        password=address.password,
        identifier=identifier,
        will=Will(status_topic, OFFLINE, qos=1, retain=True) if status_topic else None,
        clean_session=True,
        keepalive=KEEPALIVE_SECONDS,
        timeout=TIMEOUT_SECONDS,
        max_queued_incoming_messages=MOST_WAITING,
        tls_context=context,
        logger=_LIBRARY,
    )
    try:
        with anyio.CancelScope(shield=True):  # or a connection that is being made would be left open
            await client.__aenter__()
    except MqttError as error:
        raise BrokerLost(_explain(error)) from error
    lost: BaseException | None = None
    try:
        yield client
    except* MqttError as group:
        lost = group
    finally:
        with anyio.move_on_after(LEAVE_SECONDS, shield=True):
            await _leave(client, status_topic)
    if lost is not None:
        raise BrokerLost("the connection was lost") from lost


_LIBRARY = logging.getLogger("plex_companion.mqtt.library")
_LIBRARY.setLevel(logging.CRITICAL)  # what it says is in the errors


async def _leave(client: Client, status_topic: str | None) -> None:
    """Say that the companion goes, and close the connection, if it is still there."""
    from aiomqtt import MqttError  # noqa: PLC0415 - an extra

    try:
        if status_topic is not None:
            await client.publish(status_topic, OFFLINE, qos=1, retain=True)
        await client.__aexit__(None, None, None)
    except MqttError:  # it is lost, and the broker publishes the will
        with suppress(MqttError):  # or asyncio would log that nobody asked why
            await anext(client.messages)


async def _probe(address: BrokerAddress, context: ssl.SSLContext | None) -> None:
    """Check that something accepts connections there, and that its certificate is good.

    The library connects in a thread, which cannot be cancelled: a host that does not answer would hold up the end of the
    program. It also leaves a socket open whose certificate it refuses.
    """
    try:
        with anyio.fail_after(TIMEOUT_SECONDS):
            await _touch(address, context)
    except TimeoutError:
        raise BrokerLost("it does not answer") from None
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise BrokerLost(_explain_refusal(error, tls=address.tls)) from None


async def _touch(address: BrokerAddress, context: ssl.SSLContext | None) -> None:
    host, port = address.host, address.port
    if context is None:
        await (await anyio.connect_tcp(host, port)).aclose()
    else:
        await (await anyio.connect_tcp(host, port, ssl_context=context, tls_standard_compatible=False)).aclose()


def _explain_refusal(error: Exception, *, tls: bool) -> str:
    match error.__cause__ or error:
        case ConnectionRefusedError():
            return "nothing listens on that port"
        case socket.gaierror():
            return "its host is not found"
        case ssl.SSLCertVerificationError():
            return "its certificate cannot be trusted"
        case ssl.SSLError() | ConnectionResetError() | anyio.EndOfStream() if tls:
            return "it does not speak TLS on that port"
        case OSError(strerror=str() as reason):
            return reason[:1].lower() + reason[1:]
        case _:
            return "it closes the connection"


def _explain(error: Exception) -> str:
    """Say why a connection failed, without what the library says: that may hold an address."""
    code = getattr(getattr(error, "rc", None), "value", None)
    if code in _REFUSED:
        return "it refuses the user name or password"
    return "the connection was lost"
