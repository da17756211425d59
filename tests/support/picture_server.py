"""A server of pictures and misbehaviour on loopback, and pictures of a few bytes."""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from plex_companion.plex.image_fetch import is_public, is_public_or_private

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 60
WEBP = b"RIFF\x44\0\0\0WEBPVP8 " + b"\0" * 60
GIF = b"GIF89a" + b"\0" * 60


@dataclass
class PictureServer:
    """What is asked of it, as (path, Host, peer); `port`."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/p.png", *, host: str = "pictures.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    pictures: PictureServer

    def do_GET(self) -> None:
        self.pictures.asked.append((self.path, self.headers["Host"]))
        match self.path:
            case "/moved":
                self._say(302, b"", Location=f"http://127.0.0.1:{self.pictures.port}/p.png")
            case "/missing":
                self._say(404, PNG)
            case "/page":
                self._say(200, b"<html>not a picture</html>")
            case "/announced":
                self._say(200, PNG, **{"Content-Length": "99999999"})
            case "/endless":
                self._pour(b"\0" * 65536, 0)
            case "/drip":
                self._pour(b"\0", 0.01)
            case "/cut":
                self._say(200, PNG, **{"Content-Length": "500"})
            case _:
                self._say(200, PNG)

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pour(self, part: bytes, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PNG)
        try:
            while not self.pictures.stop.wait(pause):
                self.wfile.write(part)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serve_pictures(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[PictureServer]:
    handler = type("Handler", (_Handler,), {})
    kind = type("Server", (ThreadingHTTPServer,), {"address_family": _family(host)})
    server: ThreadingHTTPServer = kind((host, 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    pictures = PictureServer(server.server_address[1])
    handler.pictures = pictures  # type: ignore[attr-defined]  # made by `type`
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield pictures
    finally:
        pictures.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def own_address() -> str | None:
    """An address of this machine in a private network, if it has one. Nothing is sent."""
    for far in ("198.51.100.1", "2001:db8::1"):
        with suppress(OSError), socket.socket(_family(far), socket.SOCK_DGRAM) as sock:
            sock.connect((far, 9))
            own = str(sock.getsockname()[0])
            judged = ipaddress.ip_address(own)
            if is_public_or_private(judged) and not is_public(judged):
                return own
    return None
