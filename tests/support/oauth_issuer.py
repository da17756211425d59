"""A small OAuth issuer: keys made here, metadata and keys served over HTTP, tokens of every kind, also bad ones."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import jwt
from anyio.abc import SocketAttribute
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

PUBLIC = "https://plex.example"
AUDIENCE = f"{PUBLIC}/mcp"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key_id: str | None, key: Any, **more: Any) -> dict[str, Any]:
    """The public half, as an issuer publishes it."""
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **({"kid": key_id} if key_id else {}), **more}


@dataclass
class SmallIssuer:
    """What it answers can be changed; what it was asked is kept."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Raw responses by path, in place of the right ones."""

    def token(self, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
        """A token that is good but for what is given; `None` leaves a claim out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "client_id": "host", "scope": "read", "exp": now + 60}
        said = {name: value for name, value in {**good, **claims}.items() if value is not None}
        return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid} if kid else None)

    def body(self, path: str) -> Any:
        match path:
            case "/.well-known/oauth-authorization-server":
                return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            case "/keys":
                return {"keys": self.keys}
            case _:
                return None

    async def answer(self, stream: SocketStream) -> None:
        async with stream:
            head = await stream.receive()
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            await stream.send((self.answers.get(path) or _response(self.body(path))).encode())


def _response(body: Any) -> str:
    if body is None:
        return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    text = json.dumps(body)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"


@asynccontextmanager
async def issuing(*keys: dict[str, Any]) -> AsyncIterator[SmallIssuer]:
    """An issuer on a free port while the block runs."""
    served_issuer = SmallIssuer(keys=list(keys) or [public("one", RSA_KEY), public("two", EC_KEY)])
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    served_issuer.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - no SQL here
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, served_issuer.answer)
        yield served_issuer
        tasks.cancel_scope.cancel()
