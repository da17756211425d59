"""The command line: flags become settings, errors become one line and an exit code."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from plex_companion import __version__
from plex_companion.commands.flags import (
    Parser,
    file_path,
    listen_host,
    machine_identifier,
    one_of,
    port,
    positive_number,
    short_text,
    whole_number,
)
from plex_companion.commands.output import filter_streams
from plex_companion.commands.setup.hosts import HOSTS
from plex_companion.errors import CompanionError, SettingsError, StartError
from plex_companion.settings import Settings, find_database_path
from plex_companion.text import SecretFilter, redact

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from plex_companion.app import StartInfo

RUNTIME, USAGE = 1, 2
REPORTS = {
    "history": "list what was played",
    "stats": "count plays and watch time",
    "events": "list what Plex reported",
    "alerts": "list alerts",
    "digest": "sum up what happened while you were away",
}
"""Commands about the past. They read only the database."""
CATALOGUE_REPORTS = {
    "search": "search the libraries",
    "storage": "show how much space the libraries take up",
    "neglected": "list what nobody watched for long",
    "recommend": "recommend what somebody may like, with reasons",
    "why": "say why what plays is transcoded",
}
"""Commands about the libraries and what plays. They read only the database, too."""
ITEM_TYPES = ("movie", "show", "season", "episode", "artist", "album", "track", "photoalbum")
STORAGE_GROUPS = ("library", "show", "resolution", "codec", "year_added", "user_watched")
RULE_ACTIONS = ("list", "test", "enable", "disable", "export", "import")
RULE_FORMATS = ("json", "toml")
MOST_ROWS = 10_000
MOST_DEMOS = 9
"""The most servers of `--demo N`: so many have a name."""
OWN_SERVER = "Set PLEX_URL and PLEX_TOKEN for your own server."
ONE_SERVER = "only this server: its name or machine identifier"
LONGEST_ADDITION = ".corrupt-20260101T000000Z"
"""The longest ending that a file beside the database adds to its name."""
LONGEST_PATH = 100
"""Characters of a path that an error message repeats."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 something failed, 2 the flags or settings are wrong."""
    _open_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help", "--version"}):
        arguments.insert(0, "serve")
    flags = build_parser().parse_args(arguments)
    try:
        sys.exit(_run(flags))
    except SettingsError as error:
        _exit_with_error(error, USAGE)
    except CompanionError as error:
        _exit_with_error(error, RUNTIME)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        sys.exit(0)
    except OSError as error:
        logging.getLogger(__name__).debug("The operating system refused something", exc_info=error)
        _exit_with_error(error, RUNTIME)
    except BaseExceptionGroup as group:
        _exit_with_error(_find_expected_error(group), RUNTIME)
    except KeyboardInterrupt:
        sys.exit(0)


def _open_closed_streams() -> None:
    """Open `/dev/null` for each standard stream that is closed, as by `<&-`.

    Otherwise the next file opened would take its number, and printed text would end up in that file.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - lives as long as the program


def _exit_with_error(error: BaseException, code: int) -> None:
    _print_error(f"plex-companion: {_format_os_error(error) if isinstance(error, OSError) else error}")
    sys.exit(USAGE if isinstance(error, SettingsError) else code)


def _format_os_error(error: OSError) -> str:
    """Format what the operating system refuses, in one line."""
    why = error.strerror or "the system refuses it"
    return f"{_shorten_path(error.filename)}: {why}." if error.filename else f"{why}."


def _shorten_path(path: object) -> str:
    text = str(path)
    return text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}…"


def _print_error(text: str) -> None:
    """Print a line for the person at the terminal. Standard output is for the protocol, or for the answer."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place


def _find_expected_error(group: BaseExceptionGroup[BaseException]) -> CompanionError | OSError:
    """Return the one expected error inside the error of a task group; raise the group again if it is a bug."""
    found = group
    while len(found.exceptions) == 1:
        inner = found.exceptions[0]
        if isinstance(inner, CompanionError | OSError):
            return inner
        if not isinstance(inner, BaseExceptionGroup):
            break
        found = inner
    raise group


def build_parser() -> Parser:
    """Build the parser with every command and flag."""
    top = Parser(
        prog="plex-companion", description="Listens to a Plex Media Server and notifies MCP clients of what happens."
    )
    top.add_argument("--version", action="version", version=f"plex-companion {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve", help="run the MCP server (the default)", parents=[_build_common_flags(), _build_demo_flags()]
    )
    serve.add_argument("--transport", **one_of(("stdio", "sse", "http", "streamable-http")), help="stdio by default")
    serve.add_argument("--host", type=listen_host, help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=port, help="port to listen on (3001; 0 takes a free one)")
    serve.add_argument("--toolsets", metavar="A,B", help="serve only these toolsets")
    serve.add_argument(
        "--demo-if-unset", action="store_true", help="the demo household unless PLEX_URL or PLEX_TOKEN is set"
    )
    watch = commands.add_parser(
        "watch",
        help="show a live view in the terminal",
        description="Show a live view; q or Ctrl+C ends it. Into a pipe or file it writes plain text: first the present "
        "state, then a line for each change.",
        parents=[_build_common_flags(), _build_demo_flags()],
    )
    watch.add_argument("--server", metavar="NAME", help=ONE_SERVER)
    commands.add_parser(
        "doctor",
        help="check address, token, websocket and database",
        parents=[_build_common_flags(), _build_demo_flags()],
    )
    _add_setup(commands)
    tools = commands.add_parser("tools", help="list the tools")
    tools.add_argument("--markdown", action="store_true", help="as the table of the README")
    tools.add_argument("--schemas", action="store_true", help="as the JSON that MCP clients get")
    _add_reports(commands)
    _add_catalogue_reports(commands)
    _add_notify(commands)
    _add_rules(commands)
    _add_demo(commands)
    _add_maintenance(commands)
    top.commands = dict(commands.choices)
    return top


def _build_common_flags() -> Parser:
    common = Parser(add_help=False, parents=[_build_log_flag()])
    common.add_argument(
        "--plex-url", metavar="URL", help="address of the Plex Media Server; of several, separated by commas"
    )
    common.add_argument(
        "--plex-token", metavar="TOKEN", help="token of its owner; of several servers one for all, or one each"
    )
    common.add_argument("--database", metavar="PATH", type=file_path, help="the SQLite file")
    return common


def _build_log_flag() -> Parser:
    log = Parser(add_help=False)
    log.add_argument("--log-level", **one_of(("debug", "info", "warning", "error")), help="info by default")
    return log


def _build_demo_flags() -> Parser:
    return _build_demo_flag("run the built-in demo household and listen to that; --demo 3 runs three servers")


def _build_demo_database_flag() -> Parser:
    return _build_demo_flag("use the database of the demo household; --demo=3 that of three servers")


def _build_demo_flag(does: str) -> Parser:
    demo = Parser(add_help=False)
    number = whole_number(1, MOST_DEMOS)
    demo.add_argument("--demo", nargs="?", type=number, const=1, default=0, metavar="N", help=does)
    return demo


def _add_reports(commands: argparse._SubParsersAction[Parser]) -> None:
    for name, does in REPORTS.items():
        report = _add_report(commands, name, does)
        report.add_argument(
            "--since", metavar="WHEN", help="24h, 7d, 1month, today, yesterday, 2026-11-22, 2026-11-22T17:00 …"
        )
        report.add_argument("--until", metavar="WHEN", help="same forms; a date means its end")
        if name == "history":
            report.add_argument("--user", metavar="NAME", help="name or id")
            report.add_argument("--title", metavar="WORDS", help="words of title, show, artist or album")
            report.add_argument("--library", metavar="NAME", help="name or id")
        if name == "stats":
            kinds = (
                "user",
                "title",
                "library",
                "platform",
                "decision",
                "resolution",
                "day",
                "hour",
                "weekday",
                "month",
            )
            report.add_argument("--by", **one_of(kinds), help="count by one of these; with --json the default is user")
        if name in {"events", "alerts"}:
            flag = "--type" if name == "events" else "--kind"
            report.add_argument(flag, dest="kinds", action="append", metavar="NAME", help="only these; may be repeated")
        if name == "alerts":
            mute = report.add_mutually_exclusive_group()
            mute.add_argument("--mute", metavar="KIND", help="record alerts of this kind, and tell nobody")
            mute.add_argument("--unmute", metavar="KIND", help="tell of them again")
        if name == "digest":
            forms = one_of(("text", "html"))
            report.add_argument("--message", **forms, help="the message that is sent every week, as it would be now")
        else:
            report.add_argument("--limit", type=whole_number(1, MOST_ROWS), metavar="N", help="the most rows to show")


def _add_report(commands: argparse._SubParsersAction[Parser], name: str, does: str) -> Parser:
    report = commands.add_parser(
        name,
        help=f"{does} (reads only the database)",
        description=f"{does[0].upper()}{does[1:]}. Reads only the database, so it also works while Plex is down.",
        parents=[_build_common_flags(), _build_demo_database_flag()],
    )
    report.add_argument("--json", action="store_true", help="as JSON, in the shape of the tool")
    report.add_argument("--server", metavar="NAME", help=ONE_SERVER)
    return report


def _add_catalogue_reports(commands: argparse._SubParsersAction[Parser]) -> None:
    reports = {name: _add_report(commands, name, does) for name, does in CATALOGUE_REPORTS.items()}
    search, storage, neglected, recommend, why = reports.values()
    search.attached = why.attached = frozenset({"--demo"})
    why.add_argument("play", nargs="?", metavar="PLAY", help="the id of a play; what plays now by default")
    search.add_argument("text", nargs="?", metavar="WORDS", help="words of titles, people, genres or summaries")
    search.add_argument("--genre", metavar="NAME", help="only this genre")
    search.add_argument("--person", metavar="NAME", help="an actor or a director")
    search.add_argument("--resolution", metavar="NAME", help="4k, 1080, 720 or sd")
    search.add_argument("--unwatched-by", metavar="NAME", help="a user, or anyone for what nobody watched")
    search.add_argument(
        "--sort", metavar="NAME", help="title, size, added, year, duration, rating or last_watched; -size reverses"
    )
    for report, types in ((search, ITEM_TYPES), (recommend, ("movie", "show"))):
        report.add_argument("--type", **one_of(types), help="only items of this type")
        report.add_argument("--max-minutes", type=positive_number, metavar="N", help="at most so long")
    for report in (search, neglected):
        report.add_argument("--library", metavar="NAME", help="name or id")
    storage.add_argument("--by", **one_of(STORAGE_GROUPS), help="group by one of these (library)")
    neglected.add_argument("--days", type=whole_number(1, 36_500), default=365, metavar="N", help="for how long (365)")
    recommend.add_argument("--user", metavar="NAME", help="name or id; everybody by default")
    for report in (search, storage, neglected, recommend):
        report.add_argument("--limit", type=whole_number(1, MOST_ROWS), metavar="N", help="the most rows to show")


def _add_setup(commands: argparse._SubParsersAction[Parser]) -> None:
    login = commands.add_parser(
        "login",
        help="get a token from Plex, and find your servers",
        description="Open a page of Plex where you allow plex-companion, find your servers, and store their addresses and "
        "tokens in a .env file that only you can read. The token is never shown.",
        parents=[_build_common_flags()],
    )
    login.add_argument(
        "--server",
        metavar="NAME",
        dest="server_names",
        action="append",
        default=[],
        help="use this server of the account without asking; may be repeated, and all uses every one",
    )
    install = commands.add_parser(
        "install",
        help="add it to an AI host",
        description="Add an entry to the host's list of MCP servers. It asks first and keeps a copy of the file.",
        parents=[_build_common_flags()],
    )
    install.add_argument("--host", dest="ai_host", **one_of(tuple(HOSTS)), required=True, help="where")
    install.add_argument("--name", dest="entry_name", default="plex", help="name of the entry (plex)")
    install.add_argument(
        "--file", type=file_path, metavar="PATH", help="the host's configuration file, if it is not in the usual place"
    )
    install.add_argument("--print", dest="printed", action="store_true", help="show the entry and write nothing")
    install.add_argument("--yes", action="store_true", help="do not ask; no token is written then")
    install.add_argument("--allow-writes", action="store_true", help="let its tools change Plex (READ_ONLY_MODE=false)")
    install.add_argument("--toolsets", metavar="A,B", help="serve only these toolsets")
    install.add_argument("--demo", action="store_true", help="an entry for the built-in demo household")


def _add_notify(commands: argparse._SubParsersAction[Parser]) -> None:
    notify = commands.add_parser(
        "notify",
        help="list the targets of notifications, or test one",
        description="List the targets in PLEX_COMPANION_NOTIFY by name and kind of service. Their URLs are never shown.",
        parents=[_build_log_flag()],
    )
    notify.add_argument("--test", metavar="TARGET", help="send a test message to this target")


def _add_rules(commands: argparse._SubParsersAction[Parser]) -> None:
    rules = commands.add_parser(
        "rules",
        help="list rules, try them on the past, switch, export and import them",
        description="What should happen when something happens: list, test, enable, disable, export or import rules.",
        parents=[_build_common_flags(), _build_demo_database_flag()],
    )
    actions = {**one_of(RULE_ACTIONS), "metavar": "ACTION"}
    rules.add_argument("action", **actions, nargs="?", default="list", help=f"{', '.join(RULE_ACTIONS)} (list)")
    rules.add_argument("what", nargs="?", metavar="RULE|FILE", help="a rule by id or name, or a file of JSON or TOML")
    rules.add_argument("--since", default="30d", metavar="TIME", help="test: beginning of the past to try it on (30d)")
    rules.add_argument("--enable", action="store_true", help="import: let the rules run from now on")
    rules.add_argument("--json", action="store_true", help="list and test: print JSON")
    form = {**one_of(RULE_FORMATS), "metavar": "FORMAT"}
    rules.add_argument("--format", **form, help="export: json or toml (toml if the file's name ends so, else json)")


def _add_demo(commands: argparse._SubParsersAction[Parser]) -> None:
    demo = commands.add_parser("demo", help="run the demo Plex server alone")
    demo.add_argument("--host", type=listen_host, default="127.0.0.1", help="address to listen on (127.0.0.1)")
    demo.add_argument("--port", type=port, default=32400, help="port to listen on (32400; 0 takes a free one)")
    demo.add_argument("--speed", type=positive_number, default=1.0, help="how much faster than real time")
    demo.add_argument(
        "--library", type=file_path, metavar="FILE", help="a household of your own, see docs/demo-household.md"
    )
    demo.add_argument("--require-token", action="store_true", help="refuse requests without the owner's token")
    demo.add_argument("--name", type=short_text, metavar="NAME", help="name of the server (that of the household)")
    demo.add_argument(
        "--identifier",
        type=machine_identifier,
        metavar="ID",
        help="machine identifier, so that several demos can run side by side (follows from --name, if there is one)",
    )


def _add_maintenance(commands: argparse._SubParsersAction[Parser]) -> None:
    backup = commands.add_parser(
        "backup",
        help="make a verified copy of the database, even while it is in use",
        parents=[_build_common_flags(), _build_demo_database_flag()],
    )
    backup.add_argument("--to", type=file_path, metavar="FILE", help="a new file; beside the daily backups by default")
    restore = commands.add_parser(
        "restore",
        help="replace the database with a backup; the old file is kept",
        parents=[_build_common_flags(), _build_demo_database_flag()],
    )
    restore.attached = frozenset({"--demo"})
    restore.add_argument("file", type=file_path, nargs="?", metavar="FILE", help="the newest good backup by default")
    restore.add_argument("--list", action="store_true", help="only list the backups")
    commands.add_parser(
        "vacuum",
        help="make the database file as small as possible",
        parents=[_build_common_flags(), _build_demo_database_flag()],
    )


def _resume_collection() -> None:
    """Look for garbage again where the start of the program paused it, but not among the objects of the imports."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _run(flags: argparse.Namespace) -> int:
    if flags.command != "serve":  # which has most to import yet
        _resume_collection()
    runners = {
        **dict.fromkeys((*REPORTS, *CATALOGUE_REPORTS), _run_report),
        **dict.fromkeys(("backup", "restore", "vacuum"), _run_maintenance),
        **dict.fromkeys(("login", "install"), _run_setup),
        "demo": _run_demo,
        "notify": _run_notify,
        "rules": _run_rules,
        "tools": _print_tools,
    }
    return runners.get(flags.command, _run_listening)(flags)


def _run_listening(flags: argparse.Namespace) -> int:
    """Run a command that listens to Plex."""
    settings, secrets = _load_and_print_notes(flags)
    _log_to_stderr(settings)
    unset = getattr(flags, "demo_if_unset", False) and not (settings.plex_url or settings.plex_token)
    return _run_with_settings(flags, settings, secrets, demo=flags.demo or int(unset))


def _read_settings(flags: argparse.Namespace) -> tuple[Settings, SecretFilter]:
    """Read the settings of a command, and hide their secrets in everything that is printed and logged from now on.

    Raises:
        SettingsError: something cannot be used.
    """
    settings = Settings.load(_collect_settings(flags))
    secrets = SecretFilter(settings.list_secrets())
    filter_streams(secrets)
    return settings, secrets


def _load(flags: argparse.Namespace) -> tuple[Settings, SecretFilter]:
    """Read the settings of a command, and check that the path of the database can be a file's.

    Raises:
        SettingsError: something cannot be used.
        StartError: a folder is in the place of the database, or no file can have its name.
    """
    settings, secrets = _read_settings(flags)
    if settings.database is not None:
        _check_file("The database", settings.database, "Name a file in it, as plex.sqlite3.")
    return settings, secrets


def _check_file(what: str, path: Path, advice: str) -> None:
    """Refuse a path that is too long for a file, or that is a folder.

    Raises:
        StartError: the path cannot be used.
    """
    try:
        Path(f"{path}{LONGEST_ADDITION}").stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            message = f"{what} {_shorten_path(path)} cannot be used: its name is too long. Choose a shorter one."
            raise StartError(message) from None
    if path.is_dir():
        raise StartError(f"{what} {_shorten_path(path)} is a folder. {advice}")


def _load_and_print_notes(flags: argparse.Namespace) -> tuple[Settings, SecretFilter]:
    """Read the settings of a command that asks Plex, and print how its address was read."""
    settings, secrets = _load(flags)
    for note in () if getattr(flags, "demo", False) else settings.notes:
        _print_error(f"plex-companion: {note}")
    return settings, secrets


def _collect_settings(flags: argparse.Namespace) -> dict[str, object]:
    """Return the flags that are settings, by the name of the setting."""
    return {name: value for name, value in vars(flags).items() if name in Settings.model_fields and value is not None}


class _RedactingFormatter(logging.Formatter):
    """Hides what looks like a token of Plex's. The stream hides the secrets of the settings."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _log_to_stderr(settings: Settings) -> None:
    """Log to standard error, since standard output belongs to the protocol.

    Lines of libraries below a warning are logged at the level `debug` only.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in ("httpx2", "httpcore2"):  # their lines hold whole addresses, and those of webhooks may be secrets
        logging.getLogger(name).setLevel("WARNING")
    if settings.notify:
        logging.getLogger("urllib3").setLevel("WARNING")  # its lines hold paths, which are secrets of such services
    if settings.log_level != "debug":
        for name in ("mcp", "uvicorn", "websockets", "plexapi", "urllib3"):
            logging.getLogger(name).setLevel("WARNING")


def _run_with_settings(flags: argparse.Namespace, settings: Settings, secrets: SecretFilter, *, demo: int) -> int:
    if flags.command == "doctor":
        from plex_companion.commands.doctor import run_doctor

        _check_toolsets(settings.toolsets)
        return anyio.run(partial(run_doctor, settings, demo=demo))
    if flags.command == "watch":
        from plex_companion.commands.watch import watch

        anyio.run(partial(watch, settings, demo=demo, server=flags.server))
        return 0
    from plex_companion.app import serve

    _resume_collection()

    def on_started(opening: StartInfo) -> None:
        _greet(opening, demo=demo)
        if opening.stored_token is not None:
            secrets.add(opening.stored_token.token)

    anyio.run(partial(serve, settings, demo=demo, started=on_started))
    return 0


def _greet(opening: StartInfo, *, demo: int) -> None:
    """Print the addresses of what is served, and the token if it is new, on standard error."""
    base = opening.base_url
    lines = [
        f"plex-companion {__version__} serves",
        f"  dashboard  {base}/",
        f"  MCP        {base}/mcp   (Streamable HTTP)",
        f"  MCP        {base}/sse   (SSE)",
    ]
    if demo:
        what = "is the built-in demo household" if demo == 1 else f"are {demo} demo servers"
        lines.insert(0, f"No Plex here: {'this' if demo == 1 else 'these'} {what}. {OWN_SERVER}")
    _print_error("\n".join([*lines, *_format_token(opening)]))


def _format_token(opening: StartInfo) -> list[str]:
    """Return the lines about the token. A token is shown only once, when it has just been made."""
    kept = opening.stored_token
    if kept is None:
        return []
    if not kept.is_new or opening.code is None:
        return [f"Other machines can reach it, so it asks for the token in {kept.path}."]
    return [
        "Other machines can reach it, so it asks for a token. A new one was made, and is shown only this once:",
        f"  token      {kept.token}",
        f"  stored in  {kept.path}",
        f"  log in     {opening.base_url}/login?code={opening.code.text}   (works once, within an hour)",
    ]


def _run_report(flags: argparse.Namespace) -> int:
    from plex_companion.commands.reports.queries import ReportQuery
    from plex_companion.commands.reports.show import report

    settings, _ = _load(flags)
    _log_to_stderr(settings)
    if getattr(flags, "mute", None) or getattr(flags, "unmute", None):
        return _mute_kind(flags, settings)
    asked = {name: value for name, value in vars(flags).items() if name in ReportQuery.__dataclass_fields__}
    anyio.run(partial(report, settings, ReportQuery(**asked), demo=flags.demo, as_json=flags.json))
    return 0


def _mute_kind(flags: argparse.Namespace, settings: Settings) -> int:
    from plex_companion.commands.mute import mute_kind

    kind, muted = flags.mute or flags.unmute, bool(flags.mute)
    print(anyio.run(partial(mute_kind, settings, kind, muted=muted, demo=flags.demo)))  # noqa: T201 - the answer
    return 0


def _run_setup(flags: argparse.Namespace) -> int:
    from plex_companion.commands.setup.config_files import find_user_dotenv
    from plex_companion.commands.setup.prompter import Prompter, ask_at_terminal

    settings, _ = _load_and_print_notes(flags)
    _log_to_stderr(settings)
    if flags.command == "login":
        from plex_companion.commands.setup.login import login

        # A new login replaces the addresses in the settings; one on the command line says which server to look for.
        asked = settings.model_copy(update={"plex_url": flags.plex_url and settings.plex_url})
        known = [link.plex_url for link in settings.links() if link.plex_url]
        prompter = Prompter(ask_at_terminal, _print_error)
        names = {"server_names": flags.server_names, "known_addresses": known}
        anyio.run(partial(login, asked, prompter, find_user_dotenv(), **names))
        return 0
    from plex_companion.commands.setup.install import InstallRequest, detect_paths, install

    toolsets = _check_toolsets(settings.toolsets) if flags.toolsets else ()
    request = InstallRequest(
        flags.ai_host, flags.entry_name, flags.file, flags.printed, flags.demo, flags.allow_writes, toolsets=toolsets
    )
    done = install(
        request, settings, Prompter(ask_at_terminal, _print_error, flags.yes), detect_paths(), datetime.now(UTC)
    )
    if done.text is not None:
        print(done.text)  # noqa: T201 - the answer
    return 0 if done.complete else RUNTIME


def _check_toolsets(names: tuple[str, ...]) -> tuple[str, ...]:
    from plex_companion.tools.toolsets import select_tools

    select_tools(names)
    return names


def _print_tools(flags: argparse.Namespace) -> int:
    from plex_companion.tools.reference import render_plain, render_schemas, render_table
    from plex_companion.tools.toolsets import select_tools

    if flags.markdown or flags.schemas:
        print(render_table() if flags.markdown else render_schemas())  # noqa: T201 - the answer
        return 0
    settings, _ = _read_settings(flags)
    print(render_plain(select_tools(settings.toolsets, read_only=settings.read_only)))  # noqa: T201 - the answer
    return 0


def _run_maintenance(flags: argparse.Namespace) -> int:
    from plex_companion.commands import database_file

    settings, _ = _load(flags)
    _log_to_stderr(settings)
    for file in (getattr(flags, "to", None), getattr(flags, "file", None)):
        if file is not None:
            _check_file("The copy", file, "Name a file in it.")
    path = find_database_path(settings, demo=flags.demo)
    match flags.command:
        case "backup":
            text = anyio.run(database_file.make_backup, path, flags.to, settings.backups)
        case "restore" if flags.list:
            text = database_file.describe_backups(path, settings.zone)
        case "restore":
            text = anyio.run(database_file.restore, path, flags.file)
        case _:
            text = anyio.run(database_file.vacuum, path)
    print(text)  # noqa: T201 - the answer
    return 0


def _run_rules(flags: argparse.Namespace) -> int:
    from plex_companion.commands.rules import rule_commands

    settings, _ = _load(flags)
    _log_to_stderr(settings)
    action, what = flags.action, flags.what
    if what is None and action not in {"list", "export"}:
        named = "FILE" if action == "import" else "RULE"
        message = f"rules {action} needs a {named.lower()}: plex-companion rules {action} {named}."
        raise SettingsError(message)
    match action:
        case "test":
            run = partial(rule_commands.try_rule, settings, what, flags.since, demo=flags.demo, as_json=flags.json)
        case "enable" | "disable":
            run = partial(rule_commands.switch, settings, what, enabled=action == "enable", demo=flags.demo)
        case "export":
            run = partial(rule_commands.export_rules, settings, what and Path(what), flags.format, demo=flags.demo)
        case "import":
            run = partial(rule_commands.import_rules, settings, Path(what), enable=flags.enable, demo=flags.demo)
        case _:
            run = partial(rule_commands.list_rules, settings, demo=flags.demo, as_json=flags.json)
    print(anyio.run(run))  # noqa: T201 - the answer
    return 0


def _run_notify(flags: argparse.Namespace) -> int:
    from plex_companion.commands.notify_targets import list_targets, send_test_message

    settings, _ = _read_settings(flags)
    _log_to_stderr(settings)
    if flags.test is None:
        print(list_targets(settings))  # noqa: T201 - the answer
        return 0
    taken, sentence = send_test_message(settings, flags.test)
    if taken:
        print(sentence)  # noqa: T201 - the answer
        return 0
    _print_error(f"plex-companion: {sentence}")
    return RUNTIME


def _run_demo(flags: argparse.Namespace) -> int:
    from plex_companion.demo import Demo, load_household, serve_demo

    def on_ready(demo: Demo) -> None:
        token = f"PLEX_TOKEN={demo.token}" if flags.require_token else f"PLEX_TOKEN={demo.token} (or any other)"
        named = f", named {demo.state.name}" if flags.name else ""
        _print_error(f"A demo Plex server with an invented household{named}: PLEX_URL={demo.url} {token}")

    household = load_household(flags.library) if flags.library else None
    options = {"speed": flags.speed, "household": household, "require_token": flags.require_token, "ready": on_ready}
    anyio.run(partial(serve_demo, flags.host, flags.port, name=flags.name, identifier=flags.identifier, **options))
    return 0
