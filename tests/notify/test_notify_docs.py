"""What docs/notifications.md shows works: every URL, the rule, and the commands."""

from __future__ import annotations

import json
import re
from datetime import time
from pathlib import Path

import pytest

from plex_companion.commands.notify_targets import list_targets
from plex_companion.notify.services import INSTALL, open_services
from plex_companion.rules.rule_format import parse_rule
from plex_companion.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
SERVICES = re.findall(r"^\| [^|]+ \| `(\w+://[^`]+)`[^|]*\| (\S[^|]*\S) \|$", PAGE, re.MULTILINE)


def read_settings() -> Settings:
    shown = re.search(r"^PLEX_COMPANION_NOTIFY=(\S+)$", PAGE, re.MULTILINE)
    assert shown
    return Settings.load({"notify": shown[1]})


def test_the_command_lists_the_targets_of_the_page_as_the_page_shows() -> None:
    shown = re.search(r"\$ plex-companion notify\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    assert list_targets(read_settings()) == shown[1].strip()


def test_the_settings_of_the_digest_are_read_as_the_page_says() -> None:
    shown = dict(re.findall(r"^PLEX_COMPANION_(DIGEST\w*|NOTIFY)=(\S+)$", PAGE, re.MULTILINE))
    settings = Settings.load({name.lower(): value for name, value in shown.items()})
    schedule = settings.read_digest_schedule()
    assert (settings.digest, schedule.weekday, schedule.time) == (("family", "me"), 6, time(18))
    assert Settings.load({"notify": shown["NOTIFY"], "digest": "family; me"}).digest == ("family", "me")


def test_the_page_shows_the_usual_services() -> None:
    assert len(SERVICES) >= 8


@pytest.mark.parametrize(("url", "kind"), SERVICES)
def test_a_url_of_the_page_is_one_of_its_service(url: str, kind: str) -> None:
    (service,) = open_services({"family": url})
    assert service.kind == kind


def test_the_rule_of_the_page_can_be_made_with_its_targets() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    rule = parse_rule(json.loads(shown[1]), read_settings().list_notify_targets())
    assert rule.name == "New for us"


def test_the_command_that_installs_the_extra_is_the_one_that_errors_say() -> None:
    assert f"\n{INSTALL}\n" in PAGE
