"""The place where secrets are taken out of every answer of the HTTP application, whatever route produced it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from plex_companion.server.http.responses import is_event_stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from plex_companion.text import SecretFilter

_BINARY = ("image/", "audio/", "video/", "font/", "application/octet-stream")


class SecretHiding:
    """Hides secrets in all that an application answers, and leaves pictures as they are."""

    def __init__(self, app: ASGIApp, secrets: SecretFilter) -> None:
        self._app = app
        self._secrets = secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, _FilteredResponse(send, self._secrets).send)


class _FilteredResponse:
    """One response on its way out.

    An event stream is filtered message by message: each of its events is one. Any other text is sent when it is whole,
    because a secret may lie across two parts, and because its length changes.
    """

    def __init__(self, send: Send, secrets: SecretFilter) -> None:
        self._send, self._secrets = send, secrets
        self._start: Message | None = None
        self._binary = False
        self._parts: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Pass a message on, now or with the end of the body."""
        if message["type"] == "http.response.start":
            self._binary = _is_binary(message)
            if not self._binary and not is_event_stream(message):
                self._start = message
                return
        elif self._start is not None:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send_whole(self._start)
            return
        elif not self._binary and message["type"] == "http.response.body":
            message = {**message, "body": self._secrets.hide_bytes(message.get("body", b""))}
        await self._send(message)

    async def _send_whole(self, start: Message) -> None:
        whole = b"".join(self._parts)  # of a single part, no copy is made
        body = self._secrets.hide_bytes(whole)
        headers = MutableHeaders(scope=start)
        if "content-length" in headers and len(body) != len(whole):
            headers["content-length"] = str(len(body))
        self._start = None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _is_binary(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type", "").startswith(_BINARY)
