"""Writes what derives from declarations: tables in the README and in docs, the schema snapshots, `.env.example`. `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from plex_companion.changes.alerts.rules import RULES
from plex_companion.demo import list_scenarios
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.prompts.prompt_list import render_prompt_table as prompts
from plex_companion.resources.registry import RESOURCES
from plex_companion.rules.explain import explain
from plex_companion.rules.templates import list_templates
from plex_companion.settings import Settings, format_default, name_variable, render_example
from plex_companion.tools import schema_snapshot
from plex_companion.tools.reference import render_reference, render_schemas, render_table
from plex_companion.tools.toolsets import list_declared

ROOT = Path(__file__).parent.parent


def with_table(path: Path, name: str, table: str) -> str:
    """Return the text of a file with a fresh table between the two markers of that name."""
    return in_text(path.read_text(encoding="utf-8"), name, table)


def in_text(text: str, name: str, table: str) -> str:
    """Return the text with a fresh table between the two markers of that name."""
    begin, end = f"<!-- {name}: written by `make docs` -->\n", f"\n<!-- /{name} -->"
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    return re.sub(pattern, lambda _: begin + table + end, text, flags=re.DOTALL)


def alerts() -> str:
    """Return a table row for every kind of alert."""
    rows = ["| kind | severity | opens | resolves | settings (defaults) |", "|---|---|---|---|---|"]
    for kind, rule in RULES.items():
        names = "<br>".join(f"`{name_variable(name)}` ({format_default(name)})" for name in rule.settings)
        rows.append(f"| `{kind}` | {rule.severity} | {rule.opens} | {rule.resolves} | {names} |")
    return "\n".join(rows)


def scenarios() -> str:
    """Return a table row for every scenario of the demo server."""
    rows = [f"| `{name}` | {sentence} |" for name, sentence in list_scenarios().items()]
    return "\n".join(["| name | what happens |", "|---|---|", *rows])


def occurrences() -> str:
    """Return a table row for every type of occurrence."""
    play = set(OCCURRENCE_TYPES["play.paused"].data_schema["properties"])
    common = play - {"play_id", "item", "user", "player", "decision", "view_offset_ms"}
    rows = ["| type | when | data | filters |", "|---|---|---|---|"]
    for one in OCCURRENCE_TYPES.values():
        fields = one.data_schema["properties"]
        of_play, left_out = (["the play"], play) if "play_id" in fields else ([], common)
        data = ", ".join([*of_play, *(f"`{name}`" for name in fields if name not in left_out)])
        filters = ", ".join(f"`{name}`" for name in one.filters["properties"])
        rows.append(f"| `{one.name}` | {one.description} | {data} | {filters or 'none'} |")
    return "\n".join(rows)


def rule_templates() -> str:
    """Return a table row for every ready-made rule, of a household that calls its target family."""
    rows = ["| rule | |", "|---|---|", *(f"| {rule.name} | {explain(rule)} |" for rule in list_templates(("family",)))]
    return "\n".join(rows)


def resources() -> str:
    """Return a table row for every resource and resource template."""
    rows = [f"| `{one.uri}` | {one.description} | {_touched(one.touched_by)} |" for one in RESOURCES]
    return "\n".join(["| resource | holds | announced after |", "|---|---|---|", *rows])


def _touched(changes: tuple[type, ...]) -> str:
    """`SessionStarted` as `session started`."""
    return ", ".join(re.sub(r"(?<!^)(?=[A-Z])", " ", change.__name__).lower() for change in changes)


def settings() -> str:
    """Return a table row for every setting."""
    rows = [
        f"| `{name_variable(name)}` | {format_default(name) or ''} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows])


def files() -> dict[Path, str]:
    """Every derived file and what it must hold."""
    readme, rules, demo = ROOT / "README.md", ROOT / "docs" / "alerts.md", ROOT / "docs" / "demo-household.md"
    return {
        readme: in_text(with_table(readme, "tools", render_table()), "prompts", prompts()),
        rules: with_table(rules, "alerts", alerts()),
        demo: with_table(demo, "scenarios", scenarios()),
        ROOT / "docs" / "rules.md": with_table(ROOT / "docs" / "rules.md", "rule templates", rule_templates()),
        ROOT / "docs" / "events.md": with_table(ROOT / "docs" / "events.md", "occurrences", occurrences()),
        **{
            ROOT / "docs" / f"{name}.md": with_table(ROOT / "docs" / f"{name}.md", name, table())
            for name, table in (("resources", resources), ("settings", settings), ("tools", render_reference))
        },
        ROOT / "tests" / "tools" / "schemas.json": render_schemas() + "\n",
        schema_snapshot.PATH: schema_snapshot.render_snapshot(list_declared()),
        ROOT / ".env.example": render_example(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
