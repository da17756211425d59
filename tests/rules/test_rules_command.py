"""`plex-companion rules`, beside a running companion and without one; what docs/rules.md shows of it works."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest
from support.application import read_empty_database
from support.several_processes import member

from plex_companion.cache.database import open_cache
from plex_companion.cli import main
from plex_companion.commands.rules.rule_commands import import_rules, list_rules, switch
from plex_companion.commands.rules.rule_files import parse_file
from plex_companion.commands.rules.saving import read_rules, send_request
from plex_companion.errors import Conflict
from plex_companion.rules.engine.requests import request_import
from plex_companion.tools.rules.changing import get_rules

if TYPE_CHECKING:
    from plex_companion.demo import Demo

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
LATE = {"name": "Late", "when": ["play.started"], "then": [{"action": "alert", "title": "Late"}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a database, in which the program runs."""
    (tmp_path / "cache.sqlite3").write_bytes(read_empty_database())
    (tmp_path / "cache.sqlite3").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


class Shell:
    """Runs the program."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code, and what was printed."""
        with pytest.raises(SystemExit) as ended:
            main(["rules", *arguments, "--database", "cache.sqlite3"])
        printed = self._capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    def well(self, *arguments: str) -> str:
        code, text = self.run(*arguments)
        assert code == 0, text
        return text


@pytest.fixture
def shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    (folder / "late.json").write_text(json.dumps(LATE), encoding="utf-8")
    return Shell(capsys)


def find_block(mark: str) -> str:
    (found,) = re.findall(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_commands_of_the_page_work_on_the_file_of_the_page(folder: Path, shell: Shell) -> None:
    (folder / "household.toml").write_text(find_block("file: household.toml"), encoding="utf-8")
    for line in find_block("shell").splitlines():
        program, command, *arguments = shlex.split(line)
        assert (program, command) == ("plex-companion", "rules")
        shell.well(*arguments)
    rules = json.loads(shell.well("list", "--json"))["rules"]
    assert [(rule["name"], rule["enabled"]) for rule in rules] == [("Kids after nine", False), ("Bedtime", False)]


def test_without_rules_the_list_says_how_to_make_one(shell: Shell) -> None:
    assert "There are no rules yet" in shell.well()


def test_what_is_exported_can_be_imported_elsewhere(folder: Path, shell: Shell) -> None:
    shell.well("import", "late.json", "--enable")
    shell.well("export", "out.json")
    exported = json.loads((folder / "out.json").read_text(encoding="utf-8"))["rules"]
    assert [(rule["name"], rule["enabled"], "id" in rule) for rule in exported] == [("Late", True, False)]
    (folder / "cache.sqlite3").write_bytes(read_empty_database())
    assert "off" in shell.well("import", "out.json")


def test_an_export_is_toml_if_the_name_of_its_file_says_so(folder: Path, shell: Shell) -> None:
    shell.well("import", "late.json")
    shell.well("export", "out.toml")
    assert (folder / "out.toml").read_text(encoding="utf-8").startswith('[[rules]]\nname = "Late"\n')
    assert "1 unchanged." in shell.well("import", "out.toml")
    assert shell.well("export", "--format", "toml") == (folder / "out.toml").read_text(encoding="utf-8")
    assert json.loads(shell.well("export", "--format", "json")) == json.loads(shell.well("export"))


def test_an_export_holds_no_secret(folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_TOKEN", "canary-t0ken-8d1f")
    told = {**LATE, "then": [{"action": "alert", "title": "canary-t0ken-8d1f"}]}
    (folder / "late.json").write_text(json.dumps(told), encoding="utf-8")
    shell.well("import", "late.json")
    shell.well("export", "out.json")
    assert "canary" not in (folder / "out.json").read_text(encoding="utf-8") + shell.well("export")


BAD: tuple[tuple[tuple[str, ...], Any, int, str], ...] = (
    (("import", "late.json"), [LATE, LATE], 2, "two rules called 'Late'"),
    (("import", "late.json"), [LATE, {**LATE, "name": "B", "only_if": "data.x"}], 2, "rule 2: only_if"),
    (("import", "late.json"), {**LATE, "when": []}, 2, "late.json, rule 1: when lists"),
    (("import", "late.json"), [], 2, "There are no rules in late.json"),
    (("import", "late.json"), {}, 2, "There are no rules in late.json"),
    (("import", "late.json"), {"rule": [LATE]}, 2, "late.json has rules under 'rule'. Call it rules"),
    (("import", "nothing.json"), LATE, 2, "nothing.json cannot be read"),
    (("import",), LATE, 2, "rules import needs a file"),
    (("enable",), LATE, 2, "rules enable needs a rule"),
    (("enable", "7"), LATE, 1, "There is no rule '7'"),
    (("test", "7"), LATE, 1, "There is no rule '7'"),
    (("test", "late.json", "--since", "soon"), LATE, 2, "soon"),
    (("export", "late.json"), LATE, 2, "late.json cannot be written"),
    (("export", "out.json", "--format", "toml"), LATE, 2, "out.json would be imported as JSON"),
    (("export", "out.toml", "--format", "json"), LATE, 2, "out.toml would be imported as TOML"),
    (("export", "--format", "yaml"), LATE, 2, "must be one of json, toml, not 'yaml'"),
)


@pytest.mark.parametrize(("arguments", "given", "code", "words"), BAD, ids=[words for *_, words in BAD])
def test_what_cannot_be_done_is_said_in_a_sentence(
    folder: Path, shell: Shell, arguments: tuple[str, ...], given: Any, code: int, words: str
) -> None:
    (folder / "late.json").write_text(json.dumps(given), encoding="utf-8")
    found, text = shell.run(*arguments)
    assert words in text
    assert (found, text.count("\n")) == (code, 1)
    assert "There are no rules yet" in shell.well()


def test_a_file_that_is_no_json_says_what_a_file_of_toml_is_called(folder: Path, shell: Shell) -> None:
    (folder / "late.json").write_text("name = 'Late'", encoding="utf-8")
    code, text = shell.run("import", "late.json")
    assert code == 2
    assert "a file of TOML ends with .toml" in text


def test_an_import_says_of_each_rule_whether_it_was_added_changed_or_is_as_before(folder: Path, shell: Shell) -> None:
    long = {**LATE, "name": "Long"}
    (folder / "late.json").write_text(json.dumps([LATE, long]), encoding="utf-8")
    assert shell.well("import", "late.json", "--enable").endswith("2 added, 0 changed, 0 unchanged.\n")
    changed = [{**LATE, "cooldown": "1h"}, long, {**LATE, "name": "More"}]
    (folder / "late.json").write_text(json.dumps(changed), encoding="utf-8")
    lines = shell.well("import", "late.json").splitlines()
    assert lines[0::2] == [
        "  1  off  Late (changed, disabled until you enable it again)",
        "  2  on   Long (unchanged)",
        "  3  off  More (added)",
        "1 added, 1 changed, 1 unchanged.",
    ]
    lines = shell.well("import", "late.json", "--enable").splitlines()
    assert lines[0::2] == [
        "  1  on   Late (unchanged, enabled)",
        "  2  on   Long (unchanged)",
        "  3  on   More (unchanged, enabled)",
        "0 added, 0 changed, 3 unchanged.",
    ]


def test_a_database_that_refuses_one_rule_of_a_file_keeps_none_of_it(folder: Path, shell: Shell) -> None:
    (folder / "late.json").write_text(json.dumps([LATE, {**LATE, "name": "Long"}]), encoding="utf-8")
    with closing(connect(folder / "cache.sqlite3")) as database, database:
        refuse = "BEFORE INSERT ON rules WHEN NEW.name = 'Long' BEGIN SELECT RAISE(ABORT, 'full'); END"
        database.execute(f"CREATE TRIGGER refuses {refuse}")
    code, text = shell.run("import", "late.json")
    assert (code, text) == (1, "plex-companion: The database cache.sqlite3 cannot be used: full.\n")
    assert "There are no rules yet" in shell.well()


def test_a_file_can_be_tried_without_saving_it(shell: Shell) -> None:
    tried = shell.well("test", "late.json")
    assert tried.startswith("Late\nWhen somebody starts playing something, open the alert")
    assert "It would have fired 0 times" in tried
    assert "Nothing has been recorded so far." in tried
    assert "There are no rules yet" in shell.well()


def test_a_rule_that_stops_streams_says_at_the_shell_too_that_read_only_mode_keeps_it_from_it(
    shell: Shell, folder: Path
) -> None:
    rule = {"name": "Bedtime", "when": ["play.paused"], "for": "30m", "then": [{"action": "stop_stream"}]}
    (folder / "bedtime.json").write_text(json.dumps(rule), encoding="utf-8")
    shell.well("import", "bedtime.json")
    assert "read-only (READ_ONLY_MODE), it will stop nothing" in shell.well("enable", "bedtime")
    assert "read-only" not in shell.well("disable", "bedtime")


def test_a_database_that_is_missing_says_what_to_try(folder: Path, shell: Shell) -> None:
    (folder / "cache.sqlite3").unlink()
    code, text = shell.run("list")
    assert code == 1
    assert "There is no database cache.sqlite3 yet: start plex-companion" in text


def test_where_several_machines_share_the_rules_one_that_does_not_run_changes_none(folder: Path, shell: Shell) -> None:
    with closing(connect(folder / "cache.sqlite3")) as database, database:
        database.execute("UPDATE chronicle_position SET number = 5")
    code, text = shell.run("import", "late.json")
    assert code == 1
    assert "Several machines share the rules" in text
    assert "There are no rules yet" in shell.well()


async def test_beside_a_running_companion_the_process_that_listens_saves_them(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "late.json").write_text(json.dumps(LATE), encoding="utf-8")
    async with member(demo, tmp_path) as one:
        await one.live()
        settings = one.companion.settings
        await import_rules(settings, tmp_path / "late.json", enable=True)
        # The command has seen it on the disk, where it is a moment before it is shown.
        await one.until(lambda: [rule.enabled for rule in get_rules(one.companion).stored.values()] == [True])
        demo.start()
        await one.until(lambda: get_rules(one.companion).stored[1].fired == 1)
        assert "fired 1 time" in await list_rules(settings)
        await switch(settings, "late", enabled=False)
        await one.until(lambda: not get_rules(one.companion).stored[1].enabled)


async def test_beside_a_running_companion_a_file_is_saved_as_a_whole_or_not_at_all(demo: Demo, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    async with member(demo, tmp_path) as one:
        await one.live()
        settings = one.companion.settings
        rules.write_text(json.dumps([LATE, {**LATE, "name": "Long"}]), encoding="utf-8")
        assert (await import_rules(settings, rules, enable=False)).endswith("2 added, 0 changed, 0 unchanged.")
        rules.write_text(json.dumps([{**LATE, "cooldown": "1h"}, {**LATE, "name": "More"}]), encoding="utf-8")
        async with open_cache(tmp_path / "cache.sqlite3", backups=0) as cache:
            changed = parse_file(rules.read_text(encoding="utf-8"), rules.name, ())
            planned = request_import(await read_rules(cache), changed, ["a", "b"], enable=True, newest=0)
            assert planned is not None
            await switch(settings, "late", enabled=True)  # somebody is quicker
            with pytest.raises(Conflict, match="Nothing was imported"):
                await send_request(cache, settings, planned)
        enabled = {"Late": True, "Long": False}
        await one.until(
            lambda: {rule.name: rule.enabled for rule in get_rules(one.companion).stored.values()} == enabled
        )
        assert (await import_rules(settings, rules, enable=False)).endswith("1 added, 1 changed, 0 unchanged.")
        await one.until(lambda: len(get_rules(one.companion).stored) == 3)
