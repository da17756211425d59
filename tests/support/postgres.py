"""A private PostgreSQL: started for the tests by an ordinary user, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from support.deadlines import HANG_SECONDS
from support.free_port import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

USER, PASSWORD = "companion", "a-password-of-the-tests"
ORDINARY_USER = "nobody"
"""PostgreSQL refuses to run as root."""
PLACES = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")
"""Where the programs are when they are not in PATH: Debian leaves all but `psql` out of it."""


def find_programs() -> Path | None:
    """Return the folder of the newest `initdb`, or of the one in PATH; `None` if there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [folder for place in PLACES for folder in Path("/").glob(place.lstrip("/"))]
    return max((one for one in folders if (one / "initdb").exists()), default=None, key=lambda one: one.parent.name)


@dataclass
class Postgres:
    """A PostgreSQL server. `port` stays the same when it is started again."""

    folder: Path
    programs: Path
    port: int

    @property
    def dsn(self) -> str:
        return self.dsn_of("postgres")

    def dsn_of(self, database: str, *, password: str = PASSWORD, port: int | None = None) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{port or self.port}/{database}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as an ordinary user."""
        command = [str(self.programs / program), *arguments]
        whose: dict[str, Any] = {}
        if os.geteuid() == 0:
            ordinary = pwd.getpwnam(ORDINARY_USER)
            whose = {"user": ordinary.pw_uid, "group": ordinary.pw_gid, "extra_groups": []}
        with (self.folder / "output").open("a") as output:
            subprocess.run(  # noqa: S603 - our own arguments
                command,
                check=True,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=HANG_SECONDS,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                **whose,
            )

    def create(self) -> None:
        """Create the cluster. Whoever connects must know the password."""
        (self.folder / "password").write_text(PASSWORD)
        more = ("--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}", "--no-sync", "--locale=C")
        self.run("initdb", f"--pgdata={self.folder / 'data'}", f"--username={USER}", "--encoding=UTF8", *more)

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories= -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", log, "-o", options)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-D", str(self.folder / "data"), "-m", mode)

    def is_running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def list_processes(self) -> list[int]:
        """The process ids of the server: its first process, and those that it has started."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop all processes of the server in the block, so that it accepts connections and answers nothing."""
        stopped = self.list_processes()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def query(self, sql: str, *arguments: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement in a connection of its own."""
        with psycopg.connect(self.dsn_of(database), autocommit=True) as connection:
            found = connection.execute(sql.encode(), arguments or None)
            return found.fetchall() if found.description else []


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a server while the block does; skip the test where PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="companion-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # not pytest's own, which no other user may enter
        if os.geteuid() == 0:
            ordinary = pwd.getpwnam(ORDINARY_USER)
            os.chown(folder, ordinary.pw_uid, ordinary.pw_gid)
        server = Postgres(folder, programs, find_free_port())
        server.create()
        server.start()
        try:
            yield server
        finally:
            if server.is_running():
                server.stop("immediate")
