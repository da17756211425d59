"""Tool declarations: each tool is declared once, with its access class.

Schemas, the read-only check, the README table and the snapshots derive from the declaration.
"""

from __future__ import annotations

import enum
import functools
import inspect
import math
import re
import typing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from plex_companion.companion import Companion
from plex_companion.errors import InsufficientScope, Invalid, ReadOnly
from plex_companion.text import LONGEST
from plex_companion.tools.arguments import LARGEST, list_parameters, quote_value
from plex_companion.tools.declaration_digest import digest_declaration
from plex_companion.tools.schema_snapshot import find_recorded
from plex_companion.tools.schemas import build_arguments, build_input_schema, build_output_schema
from plex_companion.tools.server_argument import SERVER_NAME, ServerArgument, add_server_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from plex_companion.tools.arguments import Parameter
    from plex_companion.tools.schema_snapshot import RecordedSchemas

    Alias = str | Callable[[Any], Mapping[str, Any]]

F = TypeVar("F", bound="Callable[..., Any]")

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML and URLs cannot carry."""

Id = Annotated[str, Field(coerce_numbers_to_str=True)]
"""An identifier. The schema says string; numbers, which models like to send, are accepted too."""

_EMPTY_CLEARS = object()
Clearable = Annotated[str, _EMPTY_CLEARS]
"""A text whose empty form is a value that clears the field. Any other empty text counts as not given."""

ALLOW_WRITES = "To allow them, set READ_ONLY_MODE=false in the companion's environment and restart it."
"""How a person can allow writes while the companion is read-only."""

_READY = object()
Json = Annotated[dict[str, Any], _READY]
"""A result that is JSON already, with finite numbers. It is passed on unchanged, because validating every value of a long
answer takes longer than computing it."""


@dataclass(frozen=True)
class Shape:
    """Gives a `dict` result the output schema of a `TypedDict`, which is neither validated nor copied at run time."""

    model: type


def _empty_clears(hint: object) -> bool:
    return _EMPTY_CLEARS in getattr(hint, "__metadata__", ()) or any(map(_empty_clears, typing.get_args(hint)))


def _find_unusable(value: object) -> str | None:
    """Return why a value, or something inside it, cannot be used; `None` if it can."""
    match value:
        case int() if abs(value) > LARGEST:
            return "the number is too large"
        case float() if not math.isfinite(value):
            return "it is not a number"
        case str():
            return _find_unusable_text(value)
        case list():
            return next(filter(None, map(_find_unusable, value)), None)
        case dict():
            return _find_unusable([*value, *value.values()])
    return None


def _find_unusable_text(value: str) -> str | None:
    if len(value) > LONGEST:
        return f"the text has {len(value):,} characters; at most {LONGEST:,} are allowed"
    return "the text contains control characters" if _UNFIT.search(value) else None


@dataclass(frozen=True, slots=True)
class FollowedWork:
    """The work in Plex that a call started: activities of a type, each of a library where `sections` names any."""

    activity: str
    sections: tuple[str, ...] = ()


class Access(enum.Enum):
    """The rights of a tool: what it may do to Plex."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class Caller(Protocol):
    """The caller of a tool, as far as a tool may know it."""

    @property
    def may_write(self) -> bool:
        """Whether this caller's token allows changes."""

    async def report_progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report the progress of a long call. Does nothing if the caller did not ask for progress."""

    async def confirm(self, question: str) -> bool | None:
        """Ask the person in front of the client for confirmation. Return `None` if the client cannot ask.

        The tool may run again from the start once the answer is there, so nothing may change before this returns.
        """

    async def choose(self, question: str, choices: Mapping[str, str]) -> str | None:
        """Ask the person to choose one of several values, which have a title each. Return the value.

        Returns `None` if the client cannot ask, or the person chose none. As after `confirm`, the tool may run again.
        """

    @property
    def can_open_pages(self) -> bool:
        """Whether the client can show the person a page in a browser."""

    async def open_page(self, message: str, url: str) -> bool:
        """Ask the person to open a page. Return whether they agreed, which does not say that they did anything there.

        As after `confirm`, the tool may run again.
        """


class _PlexServer:
    """Placeholder for plexapi's class when annotations are resolved, because importing plexapi is slow."""


_INJECTED: dict[type, str] = {_PlexServer: "plex", Companion: "companion", Caller: "caller"}


@dataclass(frozen=True)
class Tool:
    """One tool. A plain function queries Plex and runs in a worker thread; a coroutine function reads the cache."""

    name: str
    toolset: str
    access: Access
    function: Callable[..., Any]
    additive: bool = False
    """A write that only adds: `destructiveHint` is false."""
    open_world: bool = False
    """The tool reaches plex.tv or a player: `openWorldHint` is true."""
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    """Other names that callers use for arguments: either the parameter's name, or a function that turns the value into
    arguments. Accepted but not advertised."""
    writes_when: Callable[[Mapping[str, Any]], bool] | None = None
    """For a read tool that writes with certain arguments: returns whether the given arguments make it a write."""
    seconds: float | None = None
    """The tool's own deadline, where the default does not fit."""
    title: str = ""
    """What people see instead of the name; by default derived from it."""
    idempotent: bool = False
    """A write that sets something: repeating it changes nothing more, so `idempotentHint` is true."""
    link: Callable[[Mapping[str, Any]], str | None] | None = None
    """For an answer about one thing: returns the URI of the resource that shows it, and notifies of its changes."""
    follow: Callable[[Mapping[str, Any]], FollowedWork] | None = None
    """For a tool whose work goes on in Plex after the answer: returns from the answer how to recognize it there."""
    notes: bool = False
    """The tool changes only the companion's own notes, nothing in Plex. It is allowed in read-only mode, but
    `readOnlyHint` is false."""
    off: bool = False
    """Read-only mode refuses the tool, so it is not listed."""
    server: ServerArgument = ServerArgument.REQUIRED
    """Whether callers say which server they mean, where several are configured."""
    several: bool = False
    """Several servers are configured."""
    from_snapshot: bool = True
    """Schemas may come from the snapshot, since building them costs time at every start. Without, they are built from
    the declaration, as for the snapshot itself."""

    @property
    def description(self) -> str:
        """The function's docstring. It is user interface: a model reads it to choose among some eighty tools."""
        return inspect.getdoc(self.function) or ""

    @property
    def display_title(self) -> str:
        """The title, which a person reads instead of the name."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def changes_nothing(self) -> bool:
        """Whether the tool changes neither Plex nor the companion's own notes."""
        return self.access is Access.READ and not self.notes

    @property
    def asks_plex(self) -> bool:
        """Whether the function is a plain one that runs in the gateway's worker threads."""
        return not inspect.iscoroutinefunction(self.function)

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """The function's annotations, resolved."""
        return typing.get_type_hints(self.function, localns={"PlexServer": _PlexServer}, include_extras=True)

    @functools.cached_property
    def injected(self) -> dict[str, str]:
        """The parameters that the companion fills, and with what: `{"parameter": "plex" | "companion" | "caller"}`."""
        return {name: _INJECTED[hint] for name, hint in self.hints.items() if name != "return" and hint in _INJECTED}

    @functools.cached_property
    def arguments(self) -> type[BaseModel]:
        """The model of the arguments that a caller may pass. Built for the first call."""
        given = {name: hint for name, hint in self.hints.items() if name != "return" and name not in self.injected}
        return build_arguments(self.name, self.function, given)

    @property
    def takes_server(self) -> bool:
        """Whether callers may pass the argument `server`."""
        return self.several and self.server is not ServerArgument.NONE

    @functools.cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = self._recorded.input_schema if self._recorded else build_input_schema(self.arguments)
        return add_server_argument(schema, self.server) if self.takes_server else schema

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, as the schema describes them."""
        clearing = {name for name, hint in self.hints.items() if _empty_clears(hint)}
        return list_parameters(self.input_schema.get("properties", {}), clearing)

    @functools.cached_property
    def result(self) -> TypeAdapter[Any]:
        """The adapter that turns the function's result into JSON. Built for the first call."""
        return TypeAdapter(self.hints["return"])

    @functools.cached_property
    def is_json(self) -> bool:
        """Whether the result is JSON already."""
        return _READY in getattr(self.hints["return"], "__metadata__", ())

    @functools.cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of the result."""
        if self._recorded:
            return self._recorded.output_schema
        result = self.hints["return"]
        shapes = [one.model for one in getattr(result, "__metadata__", ()) if isinstance(one, Shape)]
        return build_output_schema(shapes[0] if shapes else result)

    @functools.cached_property
    def _recorded(self) -> RecordedSchemas | None:
        """The schemas in the snapshot, if they are those of this declaration."""
        return find_recorded(self.name, self.digest) if self.from_snapshot else None

    @property
    def digest(self) -> str:
        """The digest of everything that the schemas derive from."""
        return digest_declaration(self.function, _INJECTED)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function takes them.

        Raises:
            Invalid: an argument is missing, unknown or of the wrong type; the message lists the known ones.
        """
        real = self._prepare_arguments(arguments)
        try:
            model = self.arguments.model_validate(real)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise self._build_invalid(str(first["loc"][0]), first["type"], real) from error
        given = {name: getattr(model, name) for name in self.arguments.model_fields}
        for name, value in given.items():
            if why := _find_unusable(value):
                raise Invalid(f"{self.name}: argument '{name}' cannot be used: {why}.", argument=name)
        return given

    def _prepare_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given arguments under their real names and in the types of the schema."""
        given = {name: value for name, value in arguments.items() if not self._is_unset(name, value)}
        real = self._resolve_aliases(given)
        known = self.parameters
        return {name: known[name].coerce(value) if name in known else value for name, value in real.items()}

    def _is_unset(self, name: str, value: object) -> bool:
        alias = self.aliases.get(name)
        if (known := self.parameters.get(alias if isinstance(alias, str) else name)) is None:
            return alias is not None and (value is None or value == "")
        return known.is_unset(value)

    def _build_invalid(self, name: str, why: str, given: Mapping[str, Any]) -> Invalid:
        """Return the error that says what to write for an argument. `why` is pydantic's error type."""
        names = [*([SERVER_NAME] if self.takes_server else []), *self.arguments.model_fields]
        known = f"Known arguments: {', '.join(names) or 'none'}."
        one = self.parameters.get(name)
        if one is None:
            return Invalid(f"{self.name}: there is no argument '{name}'. {known}", argument=name)
        if why == "missing":
            return Invalid(f"{self.name}: argument '{name}' is required: {one.expected}. {known}", argument=name)
        message = f"{self.name}: argument '{name}' must be {one.expected}; got {quote_value(given.get(name))}."
        return Invalid(message, argument=name)

    def _resolve_aliases(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if name not in self.aliases}
        for name, value in arguments.items():
            if name in self.aliases:
                alias = self.aliases[name]
                real = {alias: value} if isinstance(alias, str) else dict(alias(value))
                if twice := sorted(real.keys() & given.keys()):
                    message = f"{self.name}: '{name}' is another name of '{twice[0]}': use only one of them."
                    raise Invalid(message, argument=name)
                given |= real
        return given

    def is_write(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call with these arguments may change Plex."""
        return self.access is not Access.READ or (self.writes_when is not None and self.writes_when(arguments))

    def needs_write(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call with these arguments needs the scope `write`. The companion's own notes count as a
        change here.
        """
        return self.notes or self.is_write(arguments)

    def check_allowed(self, arguments: Mapping[str, Any], *, read_only: bool, may_write: bool) -> None:
        """Insist that a call with these arguments may be made. Every call of a tool passes here, and only here.

        `may_write` is whether the caller's token has the scope `write`. Notes of the companion itself need that too,
        but they are no changes of Plex, so the read-only mode allows them.

        Raises:
            InsufficientScope: the caller's token allows reading only.
            ReadOnly: the tool changes Plex and the companion is read-only.
        """
        if self.needs_write(arguments) and not may_write:
            message = f"'{self.name}' changes something, and the token of this client lacks the scope write."
            raise InsufficientScope(message, scope="write")
        if read_only and self.is_write(arguments):
            message = (
                f"Operation '{self.name}' is not allowed in read-only mode. "
                "Set READ_ONLY_MODE=false in your environment to enable write operations."
            )
            raise ReadOnly(message, operation=self.name)


@dataclass(frozen=True)
class Toolset:
    """A named group of tools, in the order of their declaration."""

    name: str
    summary: str
    server: ServerArgument = ServerArgument.REQUIRED
    """Whether callers of its tools say which of several servers they mean, unless a tool is declared otherwise."""
    tools: list[Tool] = field(default_factory=list)

    def tool(
        self,
        access: Access,
        *,
        title: str = "",
        idempotent: bool = False,
        additive: bool = False,
        open_world: bool = False,
        aliases: Mapping[str, Alias] | None = None,
        writes_when: Callable[[Mapping[str, Any]], bool] | None = None,
        seconds: float | None = None,
        link: Callable[[Mapping[str, Any]], str | None] | None = None,
        follow: Callable[[Mapping[str, Any]], FollowedWork] | None = None,
        notes: bool = False,
        server: ServerArgument | None = None,
    ) -> Callable[[F], F]:
        """Declare the decorated function as a tool of this set. The function itself is returned unchanged."""

        def declare(function: F) -> F:
            name = function.__name__
            others = aliases or {}
            declared = Tool(name, self.name, access, function, additive, open_world, others, writes_when, seconds)
            declared = replace(declared, title=title, idempotent=idempotent, link=link, follow=follow, notes=notes)
            declared = replace(declared, server=server or self.server)
            self.tools.append(declared)
            return function

        return declare
