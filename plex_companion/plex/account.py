"""Requests to plex.tv about an account: a token by confirmation in a browser, and the servers that it may use.

Answers hold tokens and addresses, so no error quotes their text.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from plex_companion.errors import PlexTvUnreachable
from plex_companion.plex.call import CURRENT_CALL, PlexCall

if TYPE_CHECKING:
    from plex_companion.plex.session import PlexSession

T = TypeVar("T")

PINS = "https://plex.tv/api/v2/pins"
RESOURCES = "https://plex.tv/api/v2/resources"
PAGE = "https://app.plex.tv/auth#?"


class _PlexTvModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Pin(_PlexTvModel):
    """A request for a token; `auth_token` is there once a person has confirmed it on `page`."""

    id: int
    code: str
    client_identifier: str
    expires_in: float = 900
    """Seconds."""
    auth_token: SecretStr | None = None

    @property
    def page(self) -> str:
        """The page where a person confirms the pin. The code is worthless to others: only the client that made the pin gets the token."""
        product = {"clientID": self.client_identifier, "code": self.code, "context[device][product]": "plex-companion"}
        return PAGE + urlencode(product)


class ServerConnection(_PlexTvModel):
    """One address of a server, as plex.tv lists it."""

    uri: str
    protocol: str = ""
    address: str = ""
    port: int = 32400
    local: bool = False
    relay: bool = False


class Server(_PlexTvModel):
    """A server that the account may use."""

    name: str = ""
    client_identifier: str
    """The machine identifier that the server itself states."""
    provides: str = ""
    owned: bool = False
    access_token: SecretStr | None = None
    https_required: bool = False
    connections: Annotated[
        tuple[ServerConnection, ...], BeforeValidator(lambda rows: tuple(_validate_rows(ServerConnection, rows)))
    ] = ()

    @property
    def addresses(self) -> list[str]:
        """The addresses to try, in order: encrypted ones before plain ones, local ones before remote ones, Plex's relay last."""
        candidates = [
            _ServerAddress(connection.uri.rstrip("/"), connection.relay, connection.local)
            for connection in self.connections
        ]
        if not self.https_required:
            # Some routers do not resolve names of plex.direct (DNS rebinding); then the plain local address works.
            candidates += [
                _ServerAddress(_build_plain_address(connection), connection.relay, connection.local)
                for connection in self.connections
                if connection.local
            ]
        ordered = sorted(
            candidates,
            key=lambda candidate: (candidate.relay, not candidate.address.startswith("https://"), not candidate.local),
        )
        return list(
            dict.fromkeys(
                candidate.address for candidate in ordered if candidate.address.startswith(("http://", "https://"))
            )
        )


@dataclass(frozen=True, slots=True)
class _ServerAddress:
    address: str
    relay: bool
    local: bool


def _build_plain_address(connection: ServerConnection) -> str:
    host = f"[{connection.address}]" if ":" in connection.address else connection.address
    return f"http://{host}:{connection.port}" if host else ""


def create_pin(session: PlexSession) -> Pin:
    """Request a strong pin.

    Raises:
        ToolError: plex.tv does not answer as expected.
    """
    return _request(session, "POST", PINS, Pin, params={"strong": "true"})


def poll_pin(session: PlexSession, pin: Pin) -> Pin:
    """Return the pin in its present state.

    Raises:
        NotFound: it has expired.
        ToolError: plex.tv does not answer as expected.
    """
    return _request(session, "GET", f"{PINS}/{pin.id}", Pin)


def list_servers(session: PlexSession, token: SecretStr) -> list[Server]:
    """Return the servers of the token's account, its own first.

    Raises:
        ToolError: plex.tv does not answer as expected, or refuses the token.
    """
    options = {"includeHttps": "1", "includeRelay": "1", "includeIPv6": "1"}
    headers = {"X-Plex-Token": token.get_secret_value()}
    found = _request(session, "GET", RESOURCES, list[Any], params=options, headers=headers)
    return sorted(
        (one for one in _validate_rows(Server, found) if "server" in one.provides.split(",")),
        key=lambda one: not one.owned,
    )


def _validate_rows(kind: type[T], rows: object) -> list[T]:
    """Return the rows that are valid. An invalid row hides no other."""
    found = []
    for row in rows if isinstance(rows, list | tuple) else ():
        with suppress(ValidationError):
            found.append(TypeAdapter(kind).validate_python(row))
    return found


def _request(
    session: PlexSession,
    method: str,
    address: str,
    kind: type[T],
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> T:
    from plex_companion.plex.client import build_headers  # noqa: PLC0415 - imports plexapi
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - the same

    sent = {**build_headers("application/json"), **(headers or {})}
    response = session.request(method, address, headers=sent, **more)
    call = CURRENT_CALL.get() or PlexCall(0)
    if not response.ok or response.is_redirect:
        raise translate_status(response.status_code, call)
    try:
        return TypeAdapter(kind).validate_json(response.content)
    except ValidationError:
        failure = PlexTvUnreachable(f"{call.last_request}: the answer is incomplete. Try again later.")
    raise failure  # outside the `except`, so that no log can follow it to the answer
