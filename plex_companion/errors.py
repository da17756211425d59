"""The tree of errors. Facts are attributes; a message says what was requested, what was found, and what to try.

CompanionError
├── SettingsError            flags or environment are wrong: exit code 2
│   ├── DatabaseOfAnotherServer  the database belongs to another Plex server than the one that is set
│   ├── ChronicleOfAnotherServer the chronicle does
│   └── ChronicleRefused     PostgreSQL refuses the user, the password or the database
├── StartError               the program cannot start: exit code 1
│   ├── ChronicleMismatch    the database of this machine cannot follow the chronicle
│   ├── DatabaseUnusable     cannot be opened, created or written
│   │   └── DatabaseBusy     another process keeps it locked
│   ├── DatabaseNewer        written by a newer version of this program
│   ├── DatabaseInUse        another process listens and writes
│   ├── EntryMissing         the log of several machines no longer has the next entry for this database
│   ├── EntryNewer           an entry of it was written by a newer version of this program
│   ├── EntryUnreadable      an entry of it is damaged, or no entry at all
│   ├── PortInUse
│   └── HostNotReading       the AI host at the other end of standard output has stopped reading
├── BackupFailed             a copy of the database cannot be made or is damaged: exit code 1
└── ToolError                goes to the caller of a tool or the reader of a resource, with a stable `code`
    ├── ReadOnly             read_only
    ├── Invalid              invalid
    ├── NotFound             not_found
    ├── Ambiguous            ambiguous
    ├── TimedOut             timeout
    ├── InsufficientScope    insufficient_scope
    ├── NotDelivered         not_delivered
    ├── Internal             internal: a bug in plex-companion
    └── PlexError            plex_error: any other answer of Plex
        ├── PlexUnreachable  plex_unreachable
        ├── PlexStarting     plex_starting
        ├── PlexUnauthorized plex_unauthorized
        ├── PlexForbidden    plex_forbidden
        ├── PlexTvUnreachable plextv_unreachable
        └── RateLimited      rate_limited
"""

from __future__ import annotations

from typing import ClassVar


class CompanionError(Exception):
    """Anything this program raises on purpose. `facts` are machine-readable and never hold a secret."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class SettingsError(CompanionError):
    """Flags, environment or `.env` cannot be used; the message lists every problem, one a line."""


class DatabaseOfAnotherServer(SettingsError):
    """The database belongs to another Plex server than the one that is set: it is left unchanged, with exit code 2."""


class ChronicleOfAnotherServer(SettingsError):
    """The chronicle belongs to other Plex servers than those that are set: nothing was written, with exit code 2."""


class ChronicleRefused(SettingsError):
    """PostgreSQL refuses this user, password or database, and will go on to."""


class StartError(CompanionError):
    """The program cannot start; the message is one line for a person."""


class ChronicleMismatch(StartError):
    """The database of this machine cannot follow the chronicle: both are left unchanged."""


class DatabaseUnusable(StartError):
    """The database cannot be opened, created or written."""


class DatabaseBusy(DatabaseUnusable):
    """Another process keeps the database locked: it may be migrating it."""


class DatabaseNewer(StartError):
    """The database was written by a newer version of this program and is left untouched."""


class DatabaseInUse(StartError):
    """Another process uses the database, and this command needs it exclusively."""


class EntryMissing(StartError):
    """The log no longer has the entry that comes next for this database. Facts: `needed`, `found`."""

    def __init__(self, reached: int, found: int) -> None:
        super().__init__(
            f"The database has applied entry {reached} of the chronicle and needs {reached + 1}, but the next one there is "
            f"{found}. Start this machine from a backup of another machine's database.",
            needed=reached + 1,
            found=found,
        )


class EntryNewer(StartError):
    """An entry of the log was written by a newer version of this program, and nothing of it was applied."""


class EntryUnreadable(StartError):
    """An entry of the log is damaged, or was not written by this program. Facts: `reason`."""


class PortInUse(StartError):
    """Another program listens on the address."""


class HostNotReading(StartError):
    """The host at the other end of standard output has stopped reading: the program ends, with exit code 1."""


class BackupFailed(CompanionError):
    """A copy of the database cannot be made, or is damaged. Facts: `damaged`, whether the database itself is."""


class ToolError(CompanionError):
    """A failure that the caller of a tool gets, as `{"error", "code", "status", "message", …facts}`."""

    code: ClassVar[str] = "internal"

    def body(self) -> dict[str, object]:
        """Return the error object of the tool contract. `error` and `message` are equal: callers look for either."""
        return {"error": self.message, "code": self.code, "status": "error", "message": self.message, **self.facts}


class ReadOnly(ToolError):
    """A write was requested while the companion is read-only."""

    code = "read_only"


class Invalid(ToolError):
    """An argument is missing, unknown, conflicting or of the wrong kind. Facts: `argument`, `allowed`."""

    code = "invalid"


class NotFound(ToolError):
    """Nothing has that name or id. Facts: `what`, `available` (at most 50 names)."""

    code = "not_found"


class Ambiguous(ToolError):
    """An argument matches several things. Facts: `argument`, `matches`."""

    code = "ambiguous"


class Conflict(ToolError):
    """The name is taken, or the item changed while a person was asked. Facts: `rating_key`."""

    code = "conflict"


class ConfirmationRequired(ToolError):
    """A destructive call without `confirm=true`, by a client that cannot ask a person. Facts: `victim`."""

    code = "confirmation_required"


class Declined(ToolError):
    """A person was asked and said no. Facts: `victim`."""

    code = "declined"


class NotSupported(ToolError):
    """This item, client or setting of Plex cannot do it. Facts: `reason`."""

    code = "not_supported"


class PathNotAllowed(ToolError):
    """A local path outside the configured folder, or an address that must not be fetched."""

    code = "path_not_allowed"


class TooLarge(ToolError):
    """An image or archive over the cap. Facts: `limit_bytes`."""

    code = "too_large"


class Partial(ToolError):
    """A write of several steps stopped halfway. Facts: `applied`, `failed`."""

    code = "partial"


class NotConfirmed(ToolError):
    """Plex accepted a write, but reading again shows that it did not happen. Facts: `requested`, `found`."""

    code = "not_confirmed"


class ClientUnreachable(ToolError):
    """The player did not answer or cannot be controlled. Facts: `available_actions`."""

    code = "client_unreachable"


class TimedOut(ToolError):
    """The deadline of the call passed."""

    code = "timeout"


class InsufficientScope(ToolError):
    """A write was requested with a token that allows reading only. Facts: `scope`."""

    code = "insufficient_scope"


class NotDelivered(ToolError):
    """The service of a target of notifications did not take a message. Facts: `target`, `http_status`."""

    code = "not_delivered"


class Internal(ToolError):
    """A bug in plex-companion. Facts: `ref`, which the log repeats beside the traceback."""

    code = "internal"


class PlexError(ToolError):
    """Any answer of Plex that has no more specific error. Facts: `http_status`."""

    code = "plex_error"


class PlexUnreachable(PlexError):
    """The connection to Plex was refused or reset, or DNS or TLS failed. Facts: `connection`."""

    code = "plex_unreachable"


class PlexStarting(PlexError):
    """503: starting up or migrating its database. Facts: `retry_after_s`."""

    code = "plex_starting"


class PlexUnauthorized(PlexError):
    """401, or 498 for an expired token."""

    code = "plex_unauthorized"


class PlexForbidden(PlexError):
    """403: the token is not the owner's."""

    code = "plex_forbidden"


class PlexTvUnreachable(PlexError):
    """plex.tv is down or its answer makes no sense. What needs only the server still works."""

    code = "plextv_unreachable"


class RateLimited(PlexError):
    """429. Facts: `retry_after_s`."""

    code = "rate_limited"
