"""What can be set, from where, and what is said when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from plex_companion.errors import SettingsError
from plex_companion.settings import APP, Settings, example

ROOT = Path(__file__).parents[1]
CANARY = "canary-Token-0123456789"
VARIABLES = [str(field.validation_alias) for field in Settings.model_fields.values()]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def config_file() -> Path:
    folder = Path(platformdirs.user_config_dir(APP))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ".env"


def test_without_anything_set_the_defaults_hold() -> None:
    settings = Settings.load()
    assert (settings.transport, settings.host, settings.port) == ("stdio", "127.0.0.1", 3001)
    assert (settings.read_only, settings.privacy, settings.plex_url, settings.plex_token) == (True, True, None, None)
    assert settings.plex_tv_url == "https://plex.tv"


def test_flags_win_over_the_environment_over_dotenv_here_over_dotenv_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config_file().write_text("PLEX_COMPANION_PORT=1\nPLEX_COMPANION_HOST=user\n")
    assert (Settings.load().port, Settings.load().host) == (1, "user")
    Path(".env").write_text("PLEX_COMPANION_PORT=2\n")
    assert (Settings.load().port, Settings.load().host) == (2, "user")
    monkeypatch.setenv("PLEX_COMPANION_PORT", "3")
    assert Settings.load().port == 3
    assert Settings.load({"port": 4}).port == 4
    assert Settings.load({"port": None}).port == 3, "a flag that was not given"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_COMPANION_PORT", "")
    monkeypatch.setenv("READ_ONLY_MODE", "")
    assert (Settings.load().port, Settings.load().read_only) == (3001, True)


def test_every_problem_is_said_at_once_one_a_line_without_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_URL", f"http://h:32400/?X-Plex-Token={CANARY}")
    monkeypatch.setenv("PLEX_COMPANION_PORT", "many")
    monkeypatch.setenv("PLEX_COMPANION_LOG_LEVEL", "loud")
    monkeypatch.setenv("PLEX_COMPANION_RETENTION_EVENT_DAYS", "-1")
    with pytest.raises(SettingsError) as error:
        Settings.load({"transport": "pigeon"})
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "PLEX_URL",
        "PLEX_COMPANION_TRANSPORT",
        "PLEX_COMPANION_PORT",
        "PLEX_COMPANION_LOG_LEVEL",
        "PLEX_COMPANION_RETENTION_EVENT_DAYS",
    ]
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "address",
    ["http://h:32400/?X-Plex-Token=abc", "http://user:pass@h:32400", "h:32400", "ftp://h", "http://"],
)
def test_an_address_is_a_bare_web_address(address: str) -> None:
    with pytest.raises(SettingsError, match="PLEX_URL"):
        Settings.load({"plex_url": address})


def test_a_slash_at_the_end_of_an_address_and_blanks_around_it_do_not_matter() -> None:
    assert Settings.load({"plex_url": " http://h:32400/ "}).plex_url == "http://h:32400"


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "OFF", " off "])
def test_only_a_clear_no_opens_the_writing_tools(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("READ_ONLY_MODE", value)
    assert not Settings.load().read_only


@pytest.mark.parametrize("value", ["true", "1", "yes", "flase", "nope", "disabled", "None", "-"])
def test_anything_else_leaves_them_closed(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("READ_ONLY_MODE", value)
    assert Settings.load().read_only


@pytest.mark.parametrize(
    ("value", "private"), [("off", False), ("OFF", False), ("on", True), ("of", True), ("1", True)]
)
def test_only_a_clear_no_ends_privacy(monkeypatch: pytest.MonkeyPatch, value: str, *, private: bool) -> None:
    monkeypatch.setenv("PLEX_COMPANION_PRIVACY", value)
    assert Settings.load().privacy is private


def test_streamable_http_is_another_name_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load({"transport": "streamable-http"}).transport == "http"
    monkeypatch.setenv("PLEX_COMPANION_TRANSPORT", "streamable-http")
    assert Settings.load().transport == "http"


def test_lists_are_words_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_COMPANION_TOOLSETS", " library , live,,")
    assert Settings.load().toolsets == ("library", "live")
    assert Settings.load({"toolsets": "live"}).toolsets == ("live",)


def test_no_text_form_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_TOKEN", CANARY)
    monkeypatch.setenv("PLEX_COMPANION_TOKEN", f"{CANARY}-http")
    settings = Settings.load()
    assert settings.secrets() == (CANARY, f"{CANARY}-http")
    shown = (repr(settings), str(settings), f"{settings}", str(settings.model_dump()), settings.model_dump_json())
    assert not [text for text in shown if CANARY in text]


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().port = 5


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ({}, "PLEX_URL and PLEX_TOKEN not set"),
        ({"plex_url": "http://h:32400"}, "PLEX_TOKEN not set"),
        ({"plex_token": CANARY}, "PLEX_URL not set"),
    ],
)
def test_a_server_and_its_token_are_asked_for_by_name(flags: dict[str, object], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing) as error:
        Settings.load(flags).require_plex()
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert not Settings.load({"host": host}).needs_token
    assert not Settings.load({"host": host, "allowed_hosts": "localhost:80,[::1]:*,127.0.0.1"}).needs_token


@pytest.mark.parametrize(
    "flags",
    [
        {"host": "0.0.0.0"},  # noqa: S104 - that it is noticed is the point
        {"host": "::"},
        {"host": "192.168.1.5"},
        {"host": "den.local"},
        {"allowed_hosts": "plex.example"},
        {"allowed_hosts": "localhost,plex.example:8443"},
        {"public_url": "https://plex.example"},
    ],
)
def test_whatever_others_can_reach_needs_a_token(flags: dict[str, object]) -> None:
    assert Settings.load(flags).needs_token


def test_an_empty_token_is_no_token() -> None:
    for blank in ("", "  "):
        assert Settings.load({"token": blank}).token is None
    with pytest.raises(SettingsError, match="PLEX_TOKEN not set"):
        Settings.load({"plex_url": "http://h:32400", "plex_token": ""}).require_plex()


def test_a_token_too_short_to_be_kept_out_of_logs_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"PLEX_COMPANION_TOKEN: .*8 characters"):
        Settings.load({"token": "1234567"})


def test_an_issuer_is_trusted_over_tls_or_on_this_machine_only() -> None:
    public = {"public_url": "https://plex.example"}
    for issuer in ("https://login.example/", "http://127.0.0.1:9/realm", "http://[::1]:9"):
        assert Settings.load({**public, "oauth_issuer": issuer}).oauth_issuer == issuer, "compared as it is written"
    with pytest.raises(SettingsError, match="https://"):
        Settings.load({**public, "oauth_issuer": "http://login.example"})
    with pytest.raises(SettingsError, match="PLEX_COMPANION_OAUTH_JWKS_URL"):
        Settings.load({"oauth_jwks_url": "http://login.example/keys"})


def test_the_public_address_has_no_path() -> None:
    assert Settings.load({"public_url": "https://plex.example/"}).public_url == "https://plex.example"
    with pytest.raises(SettingsError, match=r"PLEX_COMPANION_PUBLIC_URL: .*no path"):
        Settings.load({"public_url": "https://home.example/plex"})


def test_an_issuer_needs_the_address_that_tokens_are_asked_for() -> None:
    with pytest.raises(SettingsError, match="PLEX_COMPANION_PUBLIC_URL"):
        Settings.load({"oauth_issuer": "https://login.example"})


@pytest.mark.parametrize("days", ["inf", "nan", "1e300"])
def test_a_time_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("PLEX_COMPANION_RETENTION_EVENT_DAYS", days)
    with pytest.raises(SettingsError, match="RETENTION_EVENT_DAYS"):
        Settings.load()


def test_a_dotenv_that_is_not_text_is_a_problem_of_the_settings() -> None:
    Path(".env").write_bytes(b"PLEX_URL=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env"):
        Settings.load()


def test_a_dotenv_may_hold_what_is_not_ours() -> None:
    Path(".env").write_text("SOMETHING_ELSE=1\nPLEX_COMPANION_PORT=8\n")
    assert Settings.load().port == 8


def test_the_example_shows_every_setting_with_its_default_and_is_the_file_that_is_shipped() -> None:
    text = example()
    assert [variable for variable in VARIABLES if f"#{variable}=" not in text] == []
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == text, "write it anew with settings.example()"


def test_the_example_uncommented_means_the_defaults() -> None:
    lines = [line[1:] for line in example().splitlines() if line.startswith("#") and "=" in line and " " not in line]
    assert len(lines) == len(VARIABLES)
    Path(".env").write_text("\n".join(lines))
    assert Settings.load() == Settings()


@pytest.mark.parametrize("url", [f"ftp://h/{CANARY}", f"h/{CANARY}", f"http:///{CANARY}", f"https://h:x/{CANARY}"])
def test_a_webhook_needs_a_web_address_which_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_URLS", f"https://example.org/hook,{url}")
    with pytest.raises(SettingsError, match="WEBHOOK_URLS") as error:
        Settings.load()
    assert CANARY not in str(error.value)


def test_addresses_and_key_of_webhooks_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_URLS", f"https://example.org/{CANARY}, http://10.0.0.1:8080/x")
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_SECRET", f"{CANARY}-key")
    settings = Settings.load()
    assert list(settings.webhooks().values()) == [f"https://example.org/{CANARY}", "http://10.0.0.1:8080/x"]
    assert settings.webhook_key() == f"{CANARY}-key".encode()
    assert {f"https://example.org/{CANARY}", f"{CANARY}-key"} <= set(settings.secrets())
    assert CANARY not in f"{settings!r} {settings} {list(settings.webhooks())}"


@pytest.mark.parametrize("key", ["whsec_", "whsec_no base64!"])
def test_a_key_of_standard_webhooks_is_base64(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_SECRET", key)
    with pytest.raises(SettingsError, match="base64"):
        Settings.load()


def test_kinds_of_alert_nobody_knows_are_named_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_KINDS", "storage,strange")
    with pytest.raises(SettingsError, match=r"unknown: strange\. There are .*storage"):
        Settings.load()
