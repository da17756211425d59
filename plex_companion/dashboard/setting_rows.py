"""The settings as the page shows them: what each is, and where that comes from. Secrets and addresses stay hidden. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from plex_companion.settings import Settings, name_variable
from plex_companion.text import clean, redact_personal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.settings import SettingOrigin

HIDDEN = "hidden"
ADDRESSES = frozenset({"plex_url", "plex_username"})
"""Settings whose values say where or who somebody is."""
ORIGINS: Mapping[SettingOrigin, str] = {
    "flag": "command line",
    "environment": "environment",
    "file": ".env in the working directory",
    "user file": ".env in the configuration directory",
}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting. `origin` is empty for a default."""

    variable: str
    value: str
    origin: str
    description: str


def list_setting_rows(settings: Settings) -> list[SettingRow]:
    """Return all settings in the order of their declaration."""
    return [_build_row(settings, name, field.description or "") for name, field in Settings.model_fields.items()]


def _build_row(settings: Settings, name: str, description: str) -> SettingRow:
    value = getattr(settings, name)
    origin = ORIGINS[settings.origins[name]] if name in settings.origins else ""
    if not origin and value != Settings.model_fields[name].default:
        origin = "file beside the database" if name == "token" else "start of the program"
    return SettingRow(name_variable(name), format_value(name, value), origin, description)


def format_value(name: str, value: object) -> str:  # noqa: PLR0911 - a table
    """Format the value of a setting, without secrets and addresses."""
    match value:
        case None | "" | ():
            return "not set"
        case SecretStr():
            return HIDDEN
        case bool():
            return str(value).lower()
        case tuple() as several if any(isinstance(one, SecretStr) for one in several):
            return f"{len(several)}, {HIDDEN}"
        case tuple() as several:
            return redact_personal(clean(", ".join(map(str, several))))
        case _ if name in ADDRESSES:
            return HIDDEN
        case float() if value == int(value):
            return f"{value:g}"
        case _:
            return redact_personal(clean(str(value)))
