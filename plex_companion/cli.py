"""The command line: flags become settings, errors become one line and an exit code."""

from __future__ import annotations

import errno
import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from plex_companion import __version__
from plex_companion.commands.flags import Parser, file_path, listen_host, one_of, port, positive_number, whole_number
from plex_companion.commands.setup.hosts import HOSTS
from plex_companion.errors import CompanionError, SettingsError, StartError
from plex_companion.settings import Settings, find_database_path
from plex_companion.text import hide_secrets, redact

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from plex_companion.app import StartInfo

RUNTIME, USAGE = 1, 2
REPORTS = {
    "history": "what was played",
    "stats": "plays and watch time, counted",
    "events": "what Plex said",
    "alerts": "what wanted attention",
    "digest": "what happened while you were away",
}
"""Commands that ask the database alone."""
MOST = 10_000
LONGEST_ADDITION = ".corrupt-20260101T000000Z"
"""What is added to the name of the database for the files beside it, at its longest."""
LONGEST_PATH = 100
"""How much of a path is repeated to a person."""


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
        _fail(error, USAGE)
    except CompanionError as error:
        _fail(error, RUNTIME)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        sys.exit(0)
    except OSError as error:
        logging.getLogger(__name__).debug("The machine refused something", exc_info=error)
        _fail(error, RUNTIME)
    except BaseExceptionGroup as group:
        _fail(_find_expected_error(group), RUNTIME)
    except KeyboardInterrupt:
        sys.exit(0)


def _open_closed_streams() -> None:
    """Open `/dev/null` for each standard stream that is closed, as by `<&-`: the next file opened would take its number,
    and what is printed would end up in that file.
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


def _fail(error: BaseException, code: int) -> None:
    _print_error(f"plex-companion: {_refusal(error) if isinstance(error, OSError) else error}")
    sys.exit(USAGE if isinstance(error, SettingsError) else code)


def _refusal(error: OSError) -> str:
    """Say what the machine refuses, in one line."""
    why = error.strerror or "the system refuses it"
    return f"{_shortened(error.filename)}: {why}." if error.filename else f"{why}."


def _shortened(path: object) -> str:
    text = str(path)
    return text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}…"


def _print_error(text: str) -> None:
    """To the person at the terminal. Standard output belongs to the protocol, or to what was asked for."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place


def _find_expected_error(group: BaseExceptionGroup[BaseException]) -> CompanionError | OSError:
    """The one expected error inside a task group's; anything else is a bug and flies on."""
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
    """Every command and flag."""
    top = Parser(
        prog="plex-companion", description="Listens to a Plex Media Server and tells MCP clients what happens."
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
    commands.add_parser(
        "watch",
        help="a live view in the terminal",
        description="A live view; q or Ctrl+C ends it. Into a pipe or file: plain text, first what there is, then a "
        "line for each change.",
        parents=[_build_common_flags(), _build_demo_flags()],
    )
    commands.add_parser(
        "doctor",
        help="check address, token, websocket and database",
        parents=[_build_common_flags(), _build_demo_flags()],
    )
    _add_setup(commands)
    tools = commands.add_parser("tools", help="list the tools")
    tools.add_argument("--markdown", action="store_true", help="as the table of the README")
    tools.add_argument("--schemas", action="store_true", help="as the JSON that MCP clients are sent")
    _add_reports(commands)
    _add_demo(commands)
    _add_maintenance(commands)
    top.commands = dict(commands.choices)
    return top


def _build_common_flags() -> Parser:
    common = Parser(add_help=False)
    common.add_argument("--plex-url", metavar="URL", help="address of the Plex Media Server")
    common.add_argument("--plex-token", metavar="TOKEN", help="token of its owner")
    common.add_argument("--database", metavar="PATH", type=file_path, help="the SQLite file")
    common.add_argument("--log-level", **one_of(("debug", "info", "warning", "error")), help="info by default")
    return common


def _build_demo_flags() -> Parser:
    demo = Parser(add_help=False)
    demo.add_argument("--demo", action="store_true", help="run the built-in demo household and listen to that")
    return demo


def _choose_demo_database() -> Parser:
    demo = Parser(add_help=False)
    demo.add_argument("--demo", action="store_true", help="use the database of the demo household")
    return demo


def _add_reports(commands: argparse._SubParsersAction[Parser]) -> None:
    for name, does in REPORTS.items():
        said = f"{does[0].upper()}{does[1:]}: out of the database, also while Plex is away. Nothing is asked of Plex."
        report = commands.add_parser(
            name,
            help=f"{does} (asks the database alone)",
            description=said,
            parents=[_build_common_flags(), _choose_demo_database()],
        )
        report.add_argument("--json", action="store_true", help="as JSON, in the shape of the tool")
        report.add_argument(
            "--since", metavar="WHEN", help="24h, 7d, 1month, today, yesterday, 2026-11-22, 2026-11-22T17:00 …"
        )
        report.add_argument("--until", metavar="WHEN", help="the same; a date to its end")
        if name == "history":
            report.add_argument("--user", metavar="NAME", help="name or id")
            report.add_argument("--title", metavar="WORDS", help="words of title, show, artist or album")
            report.add_argument("--library", metavar="NAME", help="name or id")
        if name == "stats":
            kinds = ("user", "title", "library", "platform", "day", "hour")
            report.add_argument("--by", **one_of(kinds), help="count by one of them; with --json by user unless told")
        if name in {"events", "alerts"}:
            flag = "--type" if name == "events" else "--kind"
            report.add_argument(flag, dest="kinds", action="append", metavar="NAME", help="only these; may be repeated")
        if name != "digest":
            report.add_argument("--limit", type=whole_number(1, MOST), metavar="N", help="how many at most")


def _add_setup(commands: argparse._SubParsersAction[Parser]) -> None:
    login = commands.add_parser(
        "login",
        help="get a token from Plex, and find the server",
        description="Shows a page of Plex on which you allow plex-companion, finds your server, and keeps its address and "
        "token in a .env that only you can read. No token is shown.",
        parents=[_build_common_flags()],
    )
    login.add_argument(
        "--server", metavar="NAME", dest="server_name", help="take this server of the account without asking"
    )
    install = commands.add_parser(
        "install",
        help="add it to an AI host",
        description="Adds an entry to the host's list of MCP servers, after asking and keeping a copy of the file.",
        parents=[_build_common_flags()],
    )
    install.add_argument("--host", dest="ai_host", **one_of(tuple(HOSTS)), required=True, help="where")
    install.add_argument("--name", dest="entry_name", default="plex", help="what the entry is called (plex)")
    install.add_argument(
        "--file", type=file_path, metavar="PATH", help="the host's file, where it is not the usual one"
    )
    install.add_argument("--print", dest="printed", action="store_true", help="show the entry and write nothing")
    install.add_argument("--yes", action="store_true", help="do not ask; a token is then written nowhere")
    install.add_argument("--allow-writes", action="store_true", help="let its tools change Plex (READ_ONLY_MODE=false)")
    install.add_argument("--toolsets", metavar="A,B", help="serve only these toolsets")
    install.add_argument("--demo", action="store_true", help="an entry for the built-in demo household")


def _add_demo(commands: argparse._SubParsersAction[Parser]) -> None:
    demo = commands.add_parser("demo", help="run the demo Plex server alone")
    demo.add_argument("--host", type=listen_host, default="127.0.0.1", help="address to listen on (127.0.0.1)")
    demo.add_argument("--port", type=port, default=32400, help="port to listen on (32400; 0 takes a free one)")
    demo.add_argument("--speed", type=positive_number, default=1.0, help="how much faster than life")
    demo.add_argument(
        "--library", type=file_path, metavar="FILE", help="a household of your own, see docs/demo-household.md"
    )
    demo.add_argument("--require-token", action="store_true", help="refuse requests without the owner's token")


def _add_maintenance(commands: argparse._SubParsersAction[Parser]) -> None:
    backup = commands.add_parser(
        "backup",
        help="make a checked copy of the database, also while it is in use",
        parents=[_build_common_flags(), _choose_demo_database()],
    )
    backup.add_argument("--to", type=file_path, metavar="FILE", help="a new file; by default among the daily ones")
    restore = commands.add_parser(
        "restore",
        help="put a backup in the database's place; what was there is kept",
        parents=[_build_common_flags(), _choose_demo_database()],
    )
    restore.add_argument("file", type=file_path, nargs="?", metavar="FILE", help="by default the newest good one")
    restore.add_argument("--list", action="store_true", help="only list the backups there are")
    commands.add_parser(
        "vacuum",
        help="make the database file as small as it can be",
        parents=[_build_common_flags(), _choose_demo_database()],
    )


def _run(flags: argparse.Namespace) -> int:
    match flags.command:
        case "demo":
            return _run_demo(flags)
        case "tools":
            return _print_tools(flags)
        case "backup" | "restore" | "vacuum":
            return _run_maintenance(flags)
        case command if command in REPORTS:
            return _run_report(flags)
        case "login" | "install":
            return _run_setup(flags)
        case _:
            settings = _load_aloud(flags)
            discreet = _log_to_stderr(settings)
            demo = flags.demo or (
                getattr(flags, "demo_if_unset", False) and not (settings.plex_url or settings.plex_token)
            )
            return _run_with_settings(flags.command, settings, discreet, demo=demo)


def _load(flags: argparse.Namespace) -> Settings:
    """Read the settings of a command, and see that the file of the database can be one.

    Raises:
        SettingsError: something cannot be used.
        StartError: a folder is in the place of the database, or no file can have its name.
    """
    settings = Settings.load(_collect_settings(flags))
    if settings.database is not None:
        _check_file("The database", settings.database, "Name a file in it, as plex.sqlite3.")
    return settings


def _check_file(what: str, path: Path, advice: str) -> None:
    """Insist that a path may be a file's, and is no folder's."""
    try:
        Path(f"{path}{LONGEST_ADDITION}").stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            message = f"{what} {_shortened(path)} cannot be used: its name is too long. Choose a shorter one."
            raise StartError(message) from None
    if path.is_dir():
        raise StartError(f"{what} {_shortened(path)} is a folder. {advice}")


def _load_aloud(flags: argparse.Namespace) -> Settings:
    """Read the settings of a command that asks Plex, and tell a person how its address was read."""
    settings = _load(flags)
    for note in () if getattr(flags, "demo", False) else settings.notes:
        _print_error(f"plex-companion: {note}")
    return settings


def _collect_settings(flags: argparse.Namespace) -> dict[str, object]:
    """The flags that are settings, by the name of the setting."""
    return {name: value for name, value in vars(flags).items() if name in Settings.model_fields and value is not None}


class _RedactingFormatter(logging.Formatter):
    """Writes no secret, whoever logs it."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return redact(hide_secrets(super().format(record), self.secrets))


def _log_to_stderr(settings: Settings) -> _RedactingFormatter:
    """Standard output belongs to the protocol. Third-party chatter is for debugging only."""
    handler, discreet = logging.StreamHandler(sys.stderr), _RedactingFormatter(settings.list_secrets())
    handler.setFormatter(discreet)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in ("httpx2", "httpcore2"):  # their lines hold whole addresses, and those of webhooks may be secrets
        logging.getLogger(name).setLevel("WARNING")
    if settings.log_level != "debug":
        for name in ("mcp", "uvicorn", "websockets", "plexapi", "urllib3"):
            logging.getLogger(name).setLevel("WARNING")
    return discreet


def _run_with_settings(command: str, settings: Settings, discreet: _RedactingFormatter, *, demo: bool) -> int:
    if command == "doctor":
        from plex_companion.commands.doctor import run_doctor

        _check_toolsets(settings.toolsets)
        return anyio.run(partial(run_doctor, settings, demo=demo))
    if command == "watch":
        from plex_companion.commands.watch import watch

        anyio.run(partial(watch, settings, demo=demo))
        return 0
    from plex_companion.app import serve

    def on_started(opening: StartInfo) -> None:
        if opening.stored_token is not None:
            discreet.secrets += (opening.stored_token.token,)
        _greet(opening, demo=demo)

    anyio.run(partial(serve, settings, demo=demo, started=on_started))
    return 0


def _greet(opening: StartInfo, *, demo: bool) -> None:
    """What a person who started it wants to know, on standard error."""
    base = opening.base_url
    lines = [
        f"plex-companion {__version__} serves",
        f"  dashboard  {base}/",
        f"  MCP        {base}/mcp   (Streamable HTTP)",
        f"  MCP        {base}/sse   (SSE)",
    ]
    if demo:
        lines.insert(
            0, "No Plex here: this is the built-in demo household. Set PLEX_URL and PLEX_TOKEN for your own server."
        )
    _print_error("\n".join([*lines, *_print_token(opening)]))


def _print_token(opening: StartInfo) -> list[str]:
    """The one time a token is shown is when it has just been made."""
    kept = opening.stored_token
    if kept is None:
        return []
    if not kept.is_new or opening.code is None:
        return [f"Others than this machine can reach it: it asks for the token that is kept in {kept.path}."]
    return [
        "Others than this machine can reach it, so it asks for a token. One was made, and is shown this once:",
        f"  token      {kept.token}",
        f"  kept in    {kept.path}",
        f"  log in     {opening.base_url}/login?code={opening.code.text}   (works once, within an hour)",
    ]


def _run_report(flags: argparse.Namespace) -> int:
    from plex_companion.commands.reports.queries import ReportQuery
    from plex_companion.commands.reports.show import report

    settings = _load(flags)
    _log_to_stderr(settings)
    asked = {name: value for name, value in vars(flags).items() if name in ReportQuery.__dataclass_fields__}
    anyio.run(partial(report, settings, ReportQuery(**asked), demo=flags.demo, as_json=flags.json))
    return 0


def _run_setup(flags: argparse.Namespace) -> int:
    from plex_companion.commands.setup.config_files import find_user_dotenv
    from plex_companion.commands.setup.prompter import Prompter, ask_at_terminal

    settings = _load_aloud(flags)
    _log_to_stderr(settings)
    if flags.command == "login":
        from plex_companion.commands.setup.login import login

        # What is set already is what a new login replaces; an address on the command line is where to look.
        asked = settings.model_copy(update={"plex_url": flags.plex_url and settings.plex_url})
        anyio.run(
            partial(login, asked, Prompter(ask_at_terminal, _print_error), find_user_dotenv(), wanted=flags.server_name)
        )
        return 0
    from plex_companion.commands.setup.install import InstallRequest, detect_paths, install

    toolsets = _check_toolsets(settings.toolsets) if flags.toolsets else ()
    wish = InstallRequest(
        flags.ai_host, flags.entry_name, flags.file, flags.printed, flags.demo, flags.allow_writes, toolsets=toolsets
    )
    done = install(
        wish, settings, Prompter(ask_at_terminal, _print_error, flags.yes), detect_paths(), datetime.now(UTC)
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
    settings = Settings.load(_collect_settings(flags))
    print(render_plain(select_tools(settings.toolsets, read_only=settings.read_only)))  # noqa: T201 - the answer
    return 0


def _run_maintenance(flags: argparse.Namespace) -> int:
    from plex_companion.commands import database_file

    settings = _load(flags)
    _log_to_stderr(settings)
    for file in (getattr(flags, "to", None), getattr(flags, "file", None)):
        if file is not None:
            _check_file("The copy", file, "Name a file in it.")
    path = find_database_path(settings, demo=flags.demo)
    match flags.command:
        case "backup":
            said = anyio.run(database_file.make_backup, path, flags.to, settings.backups)
        case "restore" if flags.list:
            said = database_file.describe_backups(path, settings.zone)
        case "restore":
            said = anyio.run(database_file.restore, path, flags.file)
        case _:
            said = anyio.run(database_file.vacuum, path)
    print(said)  # noqa: T201 - the answer
    return 0


def _run_demo(flags: argparse.Namespace) -> int:
    from plex_companion.demo import Demo, Household, serve_demo

    def on_ready(demo: Demo) -> None:
        token = f"PLEX_TOKEN={demo.token}" if flags.require_token else f"PLEX_TOKEN={demo.token} (or any other)"
        _print_error(f"A demo Plex server with an invented household: PLEX_URL={demo.url} {token}")

    household = Household.load(flags.library) if flags.library else None
    options = {"speed": flags.speed, "household": household, "require_token": flags.require_token, "ready": on_ready}
    anyio.run(partial(serve_demo, flags.host, flags.port, **options))
    return 0
