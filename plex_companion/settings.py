"""The settings: flags first, then the environment, then `.env` here, then `.env` in the user's configuration directory."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

import platformdirs
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from plex_companion.errors import SettingsError
from plex_companion.models import AlertKind
from plex_companion.setting_values import (
    clean_value,
    is_hidden,
    list_address_secrets,
    normalize_plex_url,
    parse_broker_url,
    parse_listen_host,
    parse_notify_targets,
    parse_plex_tokens,
    parse_plex_urls,
    parse_schema_name,
    parse_secret,
)
from plex_companion.times import DAY_SECONDS, parse_schedule
from plex_companion.zones import find_host_zone, find_zone, name_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from plex_companion.setting_values import BrokerAddress
    from plex_companion.times import WeeklySchedule

APP = "plex-companion"
ICON = "/static/icon.svg"
"""The path of the icon. It needs no token."""
SHORTEST_SECRET = 8
"""Plex's tokens have 20 characters."""
WEBHOOK_KEY = "whsec_"
"""The prefix of a Standard Webhooks key; the rest is base64."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _split_words(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _split_targets(value: object) -> object:
    """Split names at commas, and at semicolons, which PLEX_COMPANION_NOTIFY has between its targets."""
    return _split_words(value.replace(";", ",") if isinstance(value, str) else value)


def _split_names(value: object) -> object:
    return _split_words(value.lower() if isinstance(value, str) else value)


def _parse_closed_flag(value: object) -> object:
    """Return false only for a clear no, so that a typo keeps the protection on."""
    return str(value).strip().lower() not in {"false", "0", "no", "off"}


def _blank_to_none(value: object) -> object:
    return None if value == "" else value


def _parse_web_address(value: str | None) -> str | None:
    if value is None or not value.strip():
        return None
    text = value.strip().rstrip("/")
    if not text.startswith(("http://", "https://")):
        message = "must start with http:// or https://"
        raise ValueError(message)
    if "?" in text or "@" in text:
        message = "must be the address alone: a token goes into PLEX_TOKEN"
        raise ValueError(message)
    if not _is_address(text):
        message = "must be an address with a host, and a port from 1 to 65535 if there is one"
        raise ValueError(message)
    return text


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        return False
    return usable and not any(char.isspace() or is_hidden(char) for char in value)


def _decode_key(value: str) -> bytes:
    if not value.startswith(WEBHOOK_KEY):
        return value.encode()
    try:
        key = base64.b64decode(value.removeprefix(WEBHOOK_KEY), validate=True)
    except ValueError:
        key = b""
    if not key:
        message = f"what follows {WEBHOOK_KEY} must be base64"
        raise ValueError(message)
    return key


def _split_joined(value: str | None) -> tuple[str, ...]:
    """Split the addresses or tokens of several servers, as the settings hold them."""
    return tuple(value.split(",")) if value else ()


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]
"""Words of our own, in whatever case."""
Secret = Annotated[SecretStr | None, BeforeValidator(_blank_to_none)]
"""A blank secret counts as unset: an empty bearer token would let everyone in."""
SettingOrigin = Literal["user file", "file", "environment", "flag"]
"""The `.env` in the user's configuration directory, the `.env` in the working directory, the environment, the command line."""
LogLevel = Literal["debug", "info", "warning", "error"]


def _declare(default: Any, variable: str, sentence: str, **more: Any) -> Any:
    return Field(default, validation_alias=variable, description=sentence, **more)


class Settings(BaseSettings):
    """All settings, validated and frozen. `repr` and `str` never show a secret."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    plex_url: str | None = _declare(
        None,
        "PLEX_URL",
        "Address of the Plex Media Server, as http://host:32400; of several servers, separated by commas.",
    )
    plex_token: Secret = _declare(
        None, "PLEX_TOKEN", "Token of the server's owner; of several servers one for all, or one each in their order."
    )
    plex_username: str | None = _declare(None, "PLEX_USERNAME", "Accepted for compatibility, and not used.")
    plex_tv_url: str = _declare(
        "https://plex.tv",
        "PLEX_TV_URL",
        "The address for account calls; anything but plex.tv is for the demo and tests.",
    )
    plex_verify: bool = _declare(True, "PLEX_COMPANION_PLEX_VERIFY", "Whether to check the server's TLS certificate.")
    plex_ca_file: Path | None = _declare(None, "PLEX_COMPANION_PLEX_CA_FILE", "A certificate authority to trust.")
    plex_timeout_seconds: float = _declare(
        30, "PLEX_COMPANION_PLEX_TIMEOUT_SECONDS", "How long a tool waits for Plex.", gt=0, le=600
    )
    read_only: Annotated[bool, BeforeValidator(_parse_closed_flag)] = _declare(
        True, "READ_ONLY_MODE", "Refuse every tool that changes something. Only false, 0, no or off allow changes."
    )
    transport: Literal["stdio", "sse", "http"] = _declare(
        "stdio", "PLEX_COMPANION_TRANSPORT", "stdio, or http (sse is the same application)."
    )
    host: str = _declare("127.0.0.1", "PLEX_COMPANION_HOST", "Address to listen on.")
    port: int = _declare(3001, "PLEX_COMPANION_PORT", "Port to listen on; 0 takes a free one.", ge=0, le=65535)
    database: Path | None = _declare(
        None, "PLEX_COMPANION_DATABASE", "The SQLite file; by default one per Plex server in the user's data directory."
    )
    token: Secret = _declare(
        None,
        "PLEX_COMPANION_TOKEN",
        "Bearer token that HTTP clients must send, 8 characters at least; made and kept beside the database when it is "
        "needed and not set.",
    )
    allowed_hosts: Words = _declare((), "PLEX_COMPANION_ALLOWED_HOSTS", "Host names accepted in addition to loopback.")
    allowed_origins: Words = _declare((), "PLEX_COMPANION_ALLOWED_ORIGINS", "Origins accepted in addition to loopback.")
    public_url: str | None = _declare(
        None, "PLEX_COMPANION_PUBLIC_URL", "The address behind a proxy, as https://plex.example."
    )
    oauth_issuer: str | None = _declare(
        None,
        "PLEX_COMPANION_OAUTH_ISSUER",
        "An OAuth 2.1 issuer whose tokens are accepted at /mcp and /sse; needs PLEX_COMPANION_PUBLIC_URL.",
    )
    oauth_audience: Words = _declare(
        (),
        "PLEX_COMPANION_OAUTH_AUDIENCE",
        "The audience of such tokens; by default the public URLs of /mcp and /sse.",
    )
    oauth_jwks_url: str | None = _declare(
        None, "PLEX_COMPANION_OAUTH_JWKS_URL", "The address of the issuer's keys; by default from its metadata."
    )
    toolsets: Names = _declare((), "PLEX_COMPANION_TOOLSETS", "Toolsets to serve, as library,live; all by default.")
    privacy: Annotated[bool, BeforeValidator(_parse_closed_flag)] = _declare(
        True, "PLEX_COMPANION_PRIVACY", "off shows (and stores) users' e-mail, players' addresses and paths of files."
    )
    catalogue: bool = _declare(
        True,
        "PLEX_COMPANION_CATALOGUE",
        "Keep the libraries in the database, for questions about them; false does not.",
    )
    media_folder: Path | None = _declare(
        None,
        "PLEX_COMPANION_MEDIA_FOLDER",
        "The only folder where tools read pictures and save artwork; none by default.",
    )
    allow_private_image_urls: bool = _declare(
        False,
        "PLEX_COMPANION_ALLOW_PRIVATE_IMAGE_URLS",
        "Also fetch pictures from private addresses (10.*, 192.168.*, fd00::), but never from this machine or link-local.",
    )
    log_level: LogLevel = _declare("info", "PLEX_COMPANION_LOG_LEVEL", "debug, info, warning or error.")
    reconcile_seconds: float = _declare(
        60, "PLEX_COMPANION_RECONCILE_SECONDS", "How often the state is checked against Plex.", ge=1, le=3600
    )
    retention_event_days: float = _declare(
        7, "PLEX_COMPANION_RETENTION_EVENT_DAYS", "How long the event journal is kept.", gt=0, le=36_500
    )
    retention_event_rows: int = _declare(
        200_000, "PLEX_COMPANION_RETENTION_EVENT_ROWS", "The most rows of the event journal.", ge=100
    )
    retention_alert_days: float = _declare(
        90, "PLEX_COMPANION_RETENTION_ALERT_DAYS", "How long resolved alerts are kept.", gt=0, le=36_500
    )
    backups: int = _declare(
        3, "PLEX_COMPANION_BACKUPS", "How many daily backups of the database are kept beside it; 0 makes none.", ge=0
    )
    webhook_urls: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_words)] = _declare(
        (),
        "PLEX_COMPANION_WEBHOOK_URLS",
        "Addresses that alerts are sent to, as https://…,https://…; none by default.",
    )
    webhook_secret: Secret = _declare(
        None, "PLEX_COMPANION_WEBHOOK_SECRET", "The key that signs webhook calls: whsec_ and base64, or any text."
    )
    webhook_kinds: Words = _declare(
        (), "PLEX_COMPANION_WEBHOOK_KINDS", "Kinds of alert to send, as connection_lost,storage; all by default."
    )
    notify: Secret = _declare(
        None,
        "PLEX_COMPANION_NOTIFY",
        "Where messages to people go: names and URLs of Apprise, as family=discord://…;me=ntfy://…; needs the extra notify.",
    )
    notify_rate: int = _declare(
        5,
        "PLEX_COMPANION_NOTIFY_RATE",
        "The most messages a minute to one such target; the rest come together as one.",
        ge=1,
        le=600,
    )
    digest: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_targets)] = _declare(
        (), "PLEX_COMPANION_DIGEST", "Targets of PLEX_COMPANION_NOTIFY that get the digest every week, as family,me."
    )
    digest_at: str = _declare(
        "mon@09:00", "PLEX_COMPANION_DIGEST_AT", "When that is sent: a weekday and a time of day, as fri@17:30."
    )
    event_webhooks: bool = _declare(
        False,
        "PLEX_COMPANION_EVENT_WEBHOOKS",
        "Let authenticated MCP clients subscribe webhooks to occurrences (MCP Events), which the companion then calls.",
    )
    event_webhooks_loopback: bool = _declare(
        False,
        "PLEX_COMPANION_EVENT_WEBHOOKS_LOOPBACK",
        "Admit http://127.0.0.1:… and http://[::1]:… as such webhooks, for development.",
    )
    mqtt_url: Secret = _declare(
        None,
        "PLEX_COMPANION_MQTT_URL",
        "An MQTT broker, as mqtt://user:password@host:1883 or mqtts://…, for Home Assistant; none by default.",
    )
    alert_buffering_count: int = _declare(
        3,
        "PLEX_COMPANION_ALERT_BUFFERING_COUNT",
        "Buffering this many times within five minutes raises an alert.",
        ge=1,
    )
    alert_slow_seconds: float = _declare(
        20,
        "PLEX_COMPANION_ALERT_SLOW_SECONDS",
        "A transcoder that is slower than real time for this long raises an alert.",
        gt=0,
        le=DAY_SECONDS,
    )
    alert_transcode_4k: bool = _declare(
        True, "PLEX_COMPANION_ALERT_TRANSCODE_4K", "Whether transcoding the picture of a 4K file raises an alert."
    )
    alert_streams: int = _declare(
        3,
        "PLEX_COMPANION_ALERT_STREAMS",
        "More concurrent streams of one user than this raise an alert; 0 turns it off.",
        ge=0,
    )
    alert_streams_grace_seconds: float = _declare(
        10,
        "PLEX_COMPANION_ALERT_STREAMS_GRACE_SECONDS",
        "How long more streams may overlap before the alert.",
        ge=0,
        le=DAY_SECONDS,
    )
    alert_paused_minutes: float = _declare(
        30,
        "PLEX_COMPANION_ALERT_PAUSED_MINUTES",
        "A pause of this length raises an alert; 0 turns it off.",
        ge=0,
        le=10_080,
    )
    alert_unreadable_seconds: float = _declare(
        120,
        "PLEX_COMPANION_ALERT_UNREADABLE_SECONDS",
        "If sessions cannot be read for this long while Plex is connected, an alert is raised.",
        gt=0,
        le=DAY_SECONDS,
    )
    alert_hold_seconds: float = _declare(
        60,
        "PLEX_COMPANION_ALERT_HOLD_SECONDS",
        "A problem that returns this soon after it ended reopens the same alert.",
        ge=0,
        le=DAY_SECONDS,
    )
    chronicle: Secret = _declare(
        None,
        "PLEX_COMPANION_CHRONICLE",
        "A PostgreSQL database that companions on several machines share, as postgresql://user:password@host/database; "
        "none by default.",
    )
    chronicle_group: str = _declare(
        "plex_companion",
        "PLEX_COMPANION_CHRONICLE_GROUP",
        "The schema in that database; companions of one household have the same one.",
    )
    chronicle_hours: float = _declare(
        24,
        "PLEX_COMPANION_CHRONICLE_HOURS",
        "How long a machine may be away and still catch up: the log in PostgreSQL is kept for so many hours.",
        gt=0,
        le=8_760,
    )
    timezone: Annotated[str | None, BeforeValidator(_blank_to_none)] = _declare(
        None,
        "PLEX_COMPANION_TIMEZONE",
        "The time zone of days, hours and times without a zone, as Europe/Vienna; by default the host's.",
    )

    @field_validator("chronicle_group")
    @classmethod
    def _check_group(cls, value: str) -> str:
        return parse_schema_name(value)

    @field_validator("timezone")
    @classmethod
    def _check_time_zone(cls, value: str | None) -> str | None:
        return None if value is None else name_zone(find_zone(value))

    _notes: tuple[str, ...] = PrivateAttr(())
    _tokens: tuple[str, ...] = PrivateAttr(())
    """Of the settings of one of several servers, the tokens of all: what one server says must not show that of another."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a person about how the settings were read."""
        return self._notes

    @model_validator(mode="wrap")
    @classmethod
    def _add_notes(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        settings = handler(given)
        url = given.get(_name_variable(cls.model_fields["plex_url"])) if isinstance(given, dict) else None
        if settings.plex_url and isinstance(url, str):
            addresses = parse_plex_urls(str(clean_value(url)))
            settings._notes = tuple(dict.fromkeys(note for one in addresses for note in one.notes))  # noqa: SLF001 - its own
        return settings

    @field_validator("*", mode="before")
    @classmethod
    def _clean(cls, value: object) -> object:
        """Strip quotes and blanks around a value. If nothing is left, the setting is not set."""
        text = clean_value(value)
        if text == "" and value != "":
            raise PydanticUseDefault
        return text

    @field_validator("plex_url")
    @classmethod
    def _check_plex_url(cls, value: str | None) -> str | None:
        return ",".join(address.url for address in parse_plex_urls(value)) if value else None

    @field_validator("plex_token")
    @classmethod
    def _check_plex_token(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return None
        tokens = parse_plex_tokens(value.get_secret_value())
        url = info.data.get("plex_url")
        addresses = _split_joined(url)
        if url and len(tokens) not in {1, len(addresses)}:
            message = (
                f"it holds {len(tokens)} tokens, and PLEX_URL {len(addresses)} "
                f"{'address' if len(addresses) == 1 else 'addresses'}. Give one token for all, or one each in their order."
            )
            raise ValueError(message)
        return SecretStr(",".join(tokens))

    @field_validator("host")
    @classmethod
    def _check_listen_host(cls, value: str) -> str:
        return parse_listen_host(value)

    @field_validator("plex_tv_url", "public_url")
    @classmethod
    def _check_web_address(cls, value: str | None) -> str | None:
        return _parse_web_address(value)

    @field_validator("webhook_urls")
    @classmethod
    def _check_web_addresses(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_address(one.get_secret_value()) for one in value):
            message = "each must be an address that starts with http:// or https://"
            raise ValueError(message)
        return value

    @field_validator("mqtt_url")
    @classmethod
    def _check_broker_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_broker_url(value.get_secret_value())
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _decode_key(value.get_secret_value())
        return value

    @field_validator("notify")
    @classmethod
    def _check_notify(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_notify_targets(value.get_secret_value())
        return value

    @field_validator("digest")
    @classmethod
    def _check_digest(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        notify: SecretStr | None = info.data.get("notify")
        targets = parse_notify_targets(notify.get_secret_value()) if notify else {}
        if unknown := [name for name in value if name not in targets]:
            known = f"It has {', '.join(targets)}" if targets else "It has no targets"
            message = f"names {', '.join(unknown)}, which PLEX_COMPANION_NOTIFY does not have. {known}"
            raise ValueError(message)
        return value

    @field_validator("digest_at")
    @classmethod
    def _check_digest_time(cls, value: str) -> str:
        parse_schedule(value)
        return value

    @field_validator("webhook_kinds")
    @classmethod
    def _check_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = get_args(AlertKind)
        if unknown := [kind for kind in value if kind not in known]:
            message = f"unknown: {', '.join(unknown)}. There are {', '.join(known)}"
            raise ValueError(message)
        return value

    @field_validator("public_url")
    @classmethod
    def _check_bare(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).path:
            message = "must have no path: the pages are served at the root"
            raise ValueError(message)
        return value

    @field_validator("token")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(parse_secret(value.get_secret_value())) < SHORTEST_SECRET:
            message = f"must have {SHORTEST_SECRET} characters at least"
            raise ValueError(message)
        return value

    @field_validator("oauth_issuer", "oauth_jwks_url")
    @classmethod
    def _check_trusted_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Check an address whose owner decides who gets in. A slash at its end stays: issuers are compared as written."""
        if value is None or _parse_web_address(value) is None:
            return None
        parts = urlsplit(value.strip())
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            message = "must start with https://, because the server at this address decides who may log in"
            raise ValueError(message)
        if info.field_name == "oauth_issuer" and not info.data.get("public_url"):
            message = "needs PLEX_COMPANION_PUBLIC_URL, the address that clients ask tokens for"
            raise ValueError(message)
        return value.strip()

    @field_validator("transport", mode="before")
    @classmethod
    def _normalize_transport(cls, value: object) -> object:
        return "http" if value == "streamable-http" else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lowercase(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def load(cls, flags: Mapping[str, object] | None = None) -> Self:
        """Read everything once. `flags` are the ones given on the command line, by field name.

        Raises:
            SettingsError: something cannot be used; the message has a line for every problem.
        """
        files = (Path(platformdirs.user_config_dir(APP)) / ".env", Path(".env"))  # the later one wins
        given: dict[str, Any] = {
            _name_variable(cls.model_fields[name]): value for name, value in (flags or {}).items() if value is not None
        }
        try:
            _check_dotenv(files)
            settings = cls(_env_file=files, _env_file_encoding="utf-8-sig", **given)  # type: ignore[call-arg]  # options of pydantic-settings
            settings.__dict__["origins"] = _find_origins(files, given)  # no field, so it does not count in comparisons
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            lines = [f"{problem['loc'][0]}: {_format_sentence(problem)}" for problem in problems]
            raise SettingsError("\n".join(lines)) from None
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"A .env cannot be read: {reason}. Looked at: {', '.join(map(str, files))}.") from None
        return settings

    def require_plex(self) -> None:
        """Check that there is a server to listen to.

        Raises:
            SettingsError: address or token is missing.
        """
        if self.plex_url is None or self.plex_token is None:
            missing = [
                name for name, value in (("PLEX_URL", self.plex_url), ("PLEX_TOKEN", self.plex_token)) if not value
            ]
            message = (
                f"{' and '.join(missing)} not set: run plex-companion login, set PLEX_URL and PLEX_TOKEN (or --plex-url and "
                "--plex-token), or use --demo for the built-in household."
            )
            raise SettingsError(message)

    def links(self) -> tuple[Self, ...]:
        """Return the settings of every configured server, in order: all the same but for one address and its token."""
        addresses = _split_joined(self.plex_url)
        if len(addresses) < 2:  # noqa: PLR2004 - one server
            return (self,)
        tokens = _split_joined(self.plex_token.get_secret_value() if self.plex_token else None)
        each = tokens if len(tokens) == len(addresses) else (tokens[:1] or (None,)) * len(addresses)
        links = tuple(
            self.model_copy(update={"plex_url": address, "plex_token": token and SecretStr(token)})
            for address, token in zip(addresses, each, strict=True)
        )
        for link in links:
            link._tokens = tokens  # noqa: SLF001 - one of us
        return links

    @cached_property
    def link_id(self) -> str:
        """The digest of the first address. Of the settings of one server, it identifies the link to that server."""
        address = next(iter(_split_joined(self.plex_url)), "")
        return hashlib.sha256(normalize_plex_url(address).encode()).hexdigest()[:12]

    @property
    def needs_token(self) -> bool:
        """Whether programs on other machines can reach it, so that a token is needed."""
        names = (self.host, *(_parse_host(entry) for entry in self.allowed_hosts))
        return bool(self.public_url or self.oauth_issuer) or any(name not in LOOPBACK for name in names)

    @cached_property
    def zone(self) -> tzinfo:
        """The time zone of days and hours: the one in the settings, else the host's."""
        return find_zone(self.timezone) if self.timezone else find_host_zone()

    @cached_property
    def origins(self) -> Mapping[str, SettingOrigin]:
        """Where each setting that is not the default was found, by the name of its field. `load` sets it."""
        return {}

    def list_webhooks(self) -> dict[str, str]:
        """Return the addresses of webhooks by digest. The digest stands for an address where that must not be shown."""
        urls = [one.get_secret_value() for one in self.webhook_urls]
        return {hashlib.sha256(url.encode()).hexdigest()[:12]: url for url in urls}

    def read_webhook_key(self) -> bytes | None:
        """Return the key that signs webhook calls; `None` without one."""
        return _decode_key(self.webhook_secret.get_secret_value()) if self.webhook_secret else None

    def read_broker_address(self) -> BrokerAddress | None:
        """Return the address of the MQTT broker; `None` without one."""
        return parse_broker_url(self.mqtt_url.get_secret_value()) if self.mqtt_url else None

    def list_notify_targets(self) -> dict[str, str]:
        """Return the URLs of the targets of notifications by name. The whole of each URL is a secret."""
        return parse_notify_targets(self.notify.get_secret_value()) if self.notify else {}

    def read_digest_schedule(self) -> WeeklySchedule:
        """Return when the weekly digest is sent."""
        return parse_schedule(self.digest_at)

    def list_secrets(self) -> tuple[str, ...]:
        """Return the texts that must never be shown.

        Texts under `SHORTEST_SECRET` characters are left out: hiding them would damage other texts.
        """
        held = (self.token, self.webhook_secret, self.mqtt_url, *self.webhook_urls)
        broker = self.read_broker_address()
        tokens = _split_joined(self.plex_token.get_secret_value() if self.plex_token else None)
        given = [
            *dict.fromkeys((*tokens, *self._tokens)),
            *(secret.get_secret_value() for secret in held if secret is not None),
        ]
        given += list_address_secrets(self.chronicle.get_secret_value()) if self.chronicle else []
        given += [broker.password] if broker and broker.password else []
        given += [part for url in self.list_notify_targets().values() for part in (url, url.partition("://")[2])]
        return tuple(secret for secret in given if len(secret) >= SHORTEST_SECRET)


def find_database_path(settings: Settings, *, demo: int = 0) -> Path:
    """Return the file in the settings, or one in the user's data directory, named after the first server that has one.

    The name is a digest, because addresses do not belong in file names. If there is none yet, it is that of the first
    server. `demo` is the number of demo servers: one has a file of its own, and so has every number of several.
    """
    if settings.database is not None:
        return settings.database
    folder = Path(platformdirs.user_data_dir(APP))
    if demo:
        return folder / ("demo.sqlite3" if demo == 1 else f"demo-{demo}.sqlite3")
    paths = [folder / f"plex-{_digest_url(url)}.sqlite3" for url in _split_joined(settings.plex_url) or ("",)]
    return next((path for path in paths if path.exists()), paths[0])


def _digest_url(url: str) -> str:
    if url and "://" not in url:
        url = f"http://{url}"  # a scheme that is added to the setting later keeps the file
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _find_origins(files: tuple[Path, Path], given: Mapping[str, Any]) -> dict[str, SettingOrigin]:
    """Return where the value of each field is from; a later place wins."""
    places: list[tuple[SettingOrigin, Mapping[str, Any]]] = [
        ("user file", dotenv_values(files[0], encoding="utf-8-sig")),
        ("file", dotenv_values(files[1], encoding="utf-8-sig")),
        ("environment", os.environ),
        ("flag", given),
    ]
    names = {_name_variable(field).upper(): name for name, field in Settings.model_fields.items()}
    return {
        names[variable.upper()]: place
        for place, values in places
        for variable, value in values.items()
        if variable.upper() in names and value != ""
    }


def _check_dotenv(files: Iterable[Path]) -> None:
    """Check that python-dotenv can read every line that sets one of our variables; it skips a bad line silently.

    Raises:
        SettingsError: a line is not NAME=value.
    """
    ours = re.compile("|".join(_name_variable(field) for field in Settings.model_fields.values()))
    for file in files:
        if not file.is_file():
            continue
        with file.open(encoding="utf-8-sig") as lines:
            for line in parse_stream(lines):
                text = line.original.string
                if line.error and ours.search(text):
                    number = line.original.line + text[: -len(text.lstrip())].count("\n")
                    message = (
                        f"{file}, line {number} cannot be read. A line is NAME=value, and a quotation mark that "
                        "is opened must be closed."
                    )
                    raise SettingsError(message)


def _format_sentence(problem: ErrorDetails) -> str:
    """Explain what is wrong with a value, without the value itself: it may be a secret in the wrong place."""
    kind, facts = problem["type"], problem.get("ctx", {})
    if kind in _LIMITS:
        return f"must be a number, {_format_limits(str(problem['loc'][0]))}"
    if kind == "literal_error":
        return f"must be {facts['expected']}".replace("'", "")
    if kind == "value_error":
        return str(facts["error"])
    return _KINDS.get(kind.partition("_")[0], "cannot be used")


def _format_limits(name: str) -> str:
    """Format every limit of a variable, as `more than 0 and at most 600`."""
    marks = next(field.metadata for field in Settings.model_fields.values() if _name_variable(field) == name)
    found = ((words, getattr(mark, sign, None)) for mark in marks for sign, words in _LIMITS.values())
    return " and ".join(f"{words} {limit:,g}" for words, limit in found if limit is not None)


_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a number",
    "bool": "must be true or false",
    "path": "must be the path of a file or folder",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _parse_host(entry: str) -> str:
    """Return the name in `name`, `name:port` or `[address]:port`."""
    name, _, port = entry.strip().lower().rpartition(":")
    return (name if name and (port.isdecimal() or port == "*") else entry.strip().lower()).strip("[]")


def _name_variable(field: FieldInfo) -> str:
    return str(field.validation_alias)


def name_variable(field: str) -> str:
    """Return the environment variable that sets a field of `Settings`."""
    return _name_variable(Settings.model_fields[field])


def format_default(field: str) -> str:
    """Format the default of a field of `Settings` as in `.env`; empty if there is none."""
    match Settings.model_fields[field].default:
        case None:
            return ""
        case bool() as flag:
            return str(flag).lower()
        case tuple() as words:
            return ",".join(words)
        case value:
            return str(value)


def render_example() -> str:
    """Render `.env.example`: every variable with its description and default."""
    lines = ["# plex-companion reads this file as `.env`; the real environment wins over it, and flags over both."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"#{_name_variable(field)}={format_default(name)}"]
    return "\n".join(lines) + "\n"
