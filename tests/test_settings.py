"""What can be set, from where, and what is said when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from plex_companion.errors import SettingsError
from plex_companion.setting_values import BrokerAddress
from plex_companion.settings import APP, Settings, find_database_path, render_example

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
    monkeypatch.setenv("PLEX_URL", f"http://user:{CANARY}@h:32400")
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
    ["http://user:pass@h:32400", "http:/h:32400", "ftp://h", "http://"],
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
    assert Settings.load({"toolsets": "Live, MEDIA"}).toolsets == ("live", "media")


def test_no_text_form_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_TOKEN", CANARY)
    monkeypatch.setenv("PLEX_COMPANION_TOKEN", f"{CANARY}-http")
    settings = Settings.load()
    assert settings.list_secrets() == (CANARY, f"{CANARY}-http")
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
    text = render_example()
    assert [variable for variable in VARIABLES if f"#{variable}=" not in text] == []
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == text, "write it anew with settings.example()"


def test_the_example_uncommented_means_the_defaults() -> None:
    lines = [
        line[1:] for line in render_example().splitlines() if line.startswith("#") and "=" in line and " " not in line
    ]
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
    assert list(settings.list_webhooks().values()) == [f"https://example.org/{CANARY}", "http://10.0.0.1:8080/x"]
    assert settings.read_webhook_key() == f"{CANARY}-key".encode()
    assert {f"https://example.org/{CANARY}", f"{CANARY}-key"} <= set(settings.list_secrets())
    assert CANARY not in f"{settings!r} {settings} {list(settings.list_webhooks())}"


@pytest.mark.parametrize("key", ["whsec_", "whsec_no base64!"])
def test_a_key_of_standard_webhooks_is_base64(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_SECRET", key)
    with pytest.raises(SettingsError, match="base64"):
        Settings.load()


def test_kinds_of_alert_nobody_knows_are_named_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEX_COMPANION_WEBHOOK_KINDS", "storage,strange")
    with pytest.raises(SettingsError, match=r"unknown: strange\. There are .*storage"):
        Settings.load()


@pytest.mark.parametrize("shown", ['"{}"', "'{}'", " '{}' ", "\t{}\r\n", "\"'{}'\""])
@pytest.mark.parametrize("variable", ["PLEX_TOKEN", "PLEX_COMPANION_TOKEN", "PLEX_COMPANION_WEBHOOK_SECRET"])
def test_quotes_and_blanks_around_a_secret_are_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, shown: str
) -> None:
    monkeypatch.setenv(variable, shown.format(CANARY))
    assert Settings.load().list_secrets() == (CANARY,)


def test_quotes_around_any_other_setting_are_no_part_of_it_either(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"PLEX_COMPANION_PORT": "8", "READ_ONLY_MODE": "false", "PLEX_COMPANION_TOOLSETS": "live,media"}
    for name, value in given.items():
        monkeypatch.setenv(name, f'"{value}"')
    monkeypatch.setenv("PLEX_COMPANION_HOST", '""')
    settings = Settings.load({"plex_url": "'http://h:32400'"})
    assert (settings.port, settings.read_only, settings.toolsets) == (8, False, ("live", "media"))
    assert (settings.plex_url, settings.host) == ("http://h:32400", "127.0.0.1")


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("\u201c{}\u201d", "left double quotation mark (U+201C)"),
        ("{}\u2019", "right single quotation mark (U+2019)"),
        ("\ufeff{}", "byte order mark (U+FEFF)"),
        ("{}\u200b", "zero width space (U+200B)"),
        ("{}\u200bx", "zero width space (U+200B)"),
        ("\u00a0{}", "no-break space (U+00A0)"),
        ("{}\u2028", "line separator (U+2028)"),
        ("{}\nx", "line break"),
        ("{}\u0435", "outside ASCII"),
        ("{}\udcff", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("variable", ["PLEX_TOKEN", "PLEX_COMPANION_TOKEN"])
def test_what_no_token_has_is_named_and_the_token_is_not(
    monkeypatch: pytest.MonkeyPatch, variable: str, shown: str, found: str
) -> None:
    monkeypatch.setenv(variable, shown.format(CANARY))
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(error.value).startswith(f"{variable}: it ")
    assert found in str(error.value)
    assert CANARY not in str(error.value)


@pytest.mark.parametrize(
    "shown", [f"X-Plex-Token={CANARY}", f"http://h:32400/?X-Plex-Token={CANARY}", f"{CANARY} x", f'"{CANARY}']
)
def test_more_than_the_token_is_refused(shown: str) -> None:
    with pytest.raises(SettingsError, match="PLEX_TOKEN: it ") as error:
        Settings.load({"plex_token": shown})
    assert CANARY not in str(error.value)


def test_a_dotenv_with_a_byte_order_mark_exports_and_windows_line_ends_is_read() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfPLEX_URL=http://h:32400\r\nexport PLEX_TOKEN='canary-Token-1'\r\n")
    settings = Settings.load()
    assert (settings.plex_url, settings.list_secrets()) == ("http://h:32400", ("canary-Token-1",))


@pytest.mark.parametrize("line", ['PLEX_TOKEN="{}', "PLEX_TOKEN: {}", "PLEX_TOKEN='{}\nA=b"])
def test_a_line_of_a_dotenv_that_cannot_be_read_is_named_without_its_text(line: str) -> None:
    Path(".env").write_text(f"# mine\n\n{line.format(CANARY)}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\.env, line 3 cannot be read") as error:
        Settings.load()
    assert CANARY not in str(error.value)


def test_a_strange_line_that_is_not_ours_does_not_matter() -> None:
    Path(".env").write_text("what is this\nPLEX_COMPANION_PORT=8\n", encoding="utf-8")
    assert Settings.load().port == 8


@pytest.mark.parametrize(
    ("given", "used", "noted"),
    [
        ("127.0.0.1:32400", "127.0.0.1:32400", 1),
        ("nas", "nas", 1),
        ("[fd00::1]:32400", "[fd00::1]:32400", 1),
        ("http://h:32400/web/index.html#!/", "http://h:32400", 1),
        ("h:32400/web", "h:32400", 2),
        ("https://h/plex/web/", "https://h/plex", 1),
        ("http://h:32400/?checkFiles=1", "http://h:32400", 1),
        ("http://h:32400#!/settings", "http://h:32400", 1),
        ("https://home.example/plex/", "https://home.example/plex", 0),
        ("https://home.example/webplex", "https://home.example/webplex", 0),
        ("HTTP://Nas:32400/", "http://Nas:32400", 0),
        ("http://nas.:32400.", "http://nas:32400", 0),
        ("http://nas:", "http://nas", 0),
        ("http://[::1]:32400", "http://[::1]:32400", 0),
    ],
)
def test_an_address_is_taken_as_people_write_it_and_what_is_cut_is_noted(given: str, used: str, noted: int) -> None:
    settings = Settings.load({"plex_url": given})
    assert (settings.plex_url, len(settings.notes)) == (used, noted)


def test_a_token_in_an_address_is_cut_and_not_repeated() -> None:
    settings = Settings.load({"plex_url": f"http://h:32400/library?X-Plex-Token={CANARY}"})
    assert settings.plex_url == "http://h:32400/library"
    assert "PLEX_TOKEN" in settings.notes[0]
    assert CANARY not in f"{settings!r} {settings.notes}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://app.plex.tv/desktop/#!/", "Run plex-companion login"),
        ("plex.tv", "Run plex-companion login"),
        ("http://h:99999", "port 99999"),
        ("http://h:0", "port 0"),
        ("http://h:port", "port is not a number"),
        ("http://h:32400:32400", "too many colons"),
        ("http://fd00::1:32400", "brackets"),
        ("::1", "brackets"),
        ("http://[zz]:32400", "no IPv6 address"),
        ("http://user:pass@h", "no user name"),
        ("http://my nas:32400", "a blank"),
        ("http://h\u200b:32400", "zero width space"),
        ("\u201chttp://h:32400\u201d", "quotation mark"),
        ("ws://h:32400", "begins with ws://"),
        ("plex://h", "begins with plex://"),
        ("http//h:32400", "must begin with http://"),
        ("http:\\\\h:32400", "must begin with http://"),
        ("http://http://h:32400", "more than one address"),
        ("http://a,http://b,http://A/", "addresses 1 and 3 are the same"),
        ("h,http://h", "addresses 1 and 2 are the same"),
        ("http://[::1]:32400,http://[0:0:0:0:0:0:0:1]:32400", "addresses 1 and 2 are the same"),
        ("http://a,http://[FD00::A]:1,http://[fd00:0::000a]:1/", "addresses 2 and 3 are the same"),
        ("http://h,http://h:80", "addresses 1 and 2 are the same"),
        ("https://h:443/plex,https://h/plex", "addresses 1 and 2 are the same"),
        ("http://a,http://b:0", "address 2 of 2: it names port 0"),
        ("http://a,,http://b", "address 2 of 3: it is empty"),
        ("h1;h2", "more than one address"),
        ("192.168.1.300:32400", "no IP address"),
        ("http://a..b", "no host can have"),
        (f"http://{'a' * 260}:32400", "no host can have"),
        ("http:///web", "names no host"),
    ],
)
def test_an_address_at_which_no_server_can_be_is_refused_with_what_to_write(given: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.load({"plex_url": given})
    message = str(error.value)
    assert message.startswith("PLEX_URL: ")
    assert said in message
    assert "Value error" not in message
    assert len(message.splitlines()) == 1


SECRETS = "token-of-den,token-of-cabin"


def list_links(url: str, token: str | None = None) -> list[tuple[str | None, str | None]]:
    links = Settings.load({"plex_url": url, "plex_token": token}).links()
    return [(link.plex_url, link.plex_token.get_secret_value() if link.plex_token else None) for link in links]


@pytest.mark.parametrize(
    ("url", "token", "links"),
    [
        ("http://den", "one", [("http://den", "one")]),
        ("http://den,", "one", [("http://den", "one")]),
        ("http://den, cabin:32400/", "one", [("http://den", "one"), ("cabin:32400", "one")]),
        ("http://den,http://cabin", "one, two", [("http://den", "one"), ("http://cabin", "two")]),
        ("http://den,http://cabin", None, [("http://den", None), ("http://cabin", None)]),
        ("http://den,https://den", "one", [("http://den", "one"), ("https://den", "one")]),
        ("http://den,http://den:443", "one", [("http://den", "one"), ("http://den:443", "one")]),
        ("http://den,http://cabin", "one,two,", [("http://den", "one"), ("http://cabin", "two")]),
    ],
)
def test_several_addresses_are_a_link_each_with_a_token_of_its_own_or_the_one_for_all(
    url: str, token: str | None, links: list[tuple[str | None, str | None]]
) -> None:
    assert list_links(url, token) == links


def test_a_link_keeps_all_other_settings_and_one_server_is_its_own_link() -> None:
    settings = Settings.load({"plex_url": "http://den,http://cabin", "port": 8})
    assert [link.port for link in settings.links()] == [8, 8]
    one = settings.links()[1]
    assert one.links() == (one,)


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("http://den,http://cabin", "a-a,b-b,c-c", "it holds 3 tokens, and PLEX_URL 2 addresses"),
        ("http://den", SECRETS, "it holds 2 tokens, and PLEX_URL 1 address. Give one token for all"),
        ("http://den,http://cabin", "a-a,,b-b", "token 2 of 3: it is empty"),
        ("http://den,http://cabin", "a-a,b b", "token 2 of 2: it contains a blank"),
        (
            "http://den,http://cabin",
            "b-b,",
            "it holds one token and a comma. Give one token for all servers, or one each",
        ),
        ("http://den,http://cabin,http://attic", " b-b , ", "it holds one token and a comma"),
        ("http://den,http://cabin", "a-a;b-b", "it holds more than one token. Separate tokens by commas"),
        ("http://den,http://cabin", "a-a,b-b|c-c", "token 2 of 2: it holds more than one token"),
    ],
)
def test_a_count_of_tokens_that_fits_neither_one_nor_all_is_refused(url: str, token: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"PLEX_TOKEN: {said}") as error:
        Settings.load({"plex_url": url, "plex_token": token})
    assert "b-b" not in str(error.value)


def test_every_token_of_several_is_a_secret() -> None:
    settings = Settings.load({"plex_url": "http://den,http://cabin", "plex_token": SECRETS})
    assert set(settings.list_secrets()) == set(SECRETS.split(","))
    assert [set(link.list_secrets()) for link in settings.links()] == [set(SECRETS.split(","))] * 2
    assert "token-of" not in f"{settings!r} {settings.links()!r}"


def test_the_digest_of_an_address_names_its_link_in_whatever_order() -> None:
    there, back = (Settings.load({"plex_url": url}).links() for url in ("http://a,http://b", "http://b/,A"))
    assert [link.link_id for link in there] == [link.link_id for link in reversed(back)]


def test_a_second_server_keeps_the_database_of_the_first() -> None:
    one, two = (
        find_database_path(Settings.load({"plex_url": url})) for url in ("http://den", "http://den,http://cabin")
    )
    assert one == two


def test_a_missing_scheme_and_http_mean_the_same_database() -> None:
    bare, written = (find_database_path(Settings.load({"plex_url": url})) for url in ("h:32400", "http://h:32400"))
    assert bare == written


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PLEX_COMPANION_PORT", "many", "must be a whole number"),
        ("PLEX_COMPANION_PORT", "99999", "must be a number, at least 0 and at most 65,535"),
        ("PLEX_COMPANION_PLEX_TIMEOUT_SECONDS", "soon", "must be a number"),
        ("PLEX_COMPANION_PLEX_TIMEOUT_SECONDS", "0", "must be a number, more than 0 and at most 600"),
        ("PLEX_COMPANION_PLEX_VERIFY", "perhaps", "must be true or false"),
        ("PLEX_COMPANION_TRANSPORT", "pigeon", "must be stdio, sse or http"),
        (
            "PLEX_COMPANION_PUBLIC_URL",
            "https://h:99999",
            "must be an address with a host, and a port from 1 to 65535 if there is one",
        ),
    ],
)
def test_what_a_setting_must_be_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(error.value) == f"{variable}: {said}"
    assert "error" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://companion:a%20secret%2Fword@host:5432/db",
        "postgresql://host/db?user=companion&password=a%20secret%2Fword",
        "host=there user=companion password='a secret/word' dbname=db",
    ],
)
def test_the_password_of_the_chronicle_is_a_secret_in_every_spelling(address: str) -> None:
    settings = Settings.load({"chronicle": address})
    assert {address, "a secret/word"} <= set(settings.list_secrets())
    assert "word" not in f"{settings!r}"


@pytest.mark.parametrize("group", ["public", "pg_catalog", "two words", "1st", "x" * 49, 'quoted"name'])
def test_a_group_of_the_chronicle_is_a_schema_of_its_own(group: str) -> None:
    with pytest.raises(SettingsError, match="PLEX_COMPANION_CHRONICLE_GROUP"):
        Settings.load({"chronicle_group": group})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://broker", BrokerAddress("broker", 1883)),
        ("mqtts://broker.lan", BrokerAddress("broker.lan", 8883, tls=True)),
        ("mqtt://house:p%40ss%2F@192.168.1.5:1884/", BrokerAddress("192.168.1.5", 1884, "house", "p@ss/")),
        ("mqtt://[fd00::1]:1883", BrokerAddress("fd00::1", 1883)),
    ],
)
def test_the_address_of_a_broker_is_read_as_people_write_it(url: str, address: BrokerAddress) -> None:
    assert Settings.load({"mqtt_url": url}).read_broker_address() == address
    assert Settings.load({}).read_broker_address() is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://broker", "broker:1883", "mqtt://?x", "mqtt://house@", "mqtt://broker:0", "mqtt://broker:99999"),
        *("mqtt://broker:port", "mqtt://broker/topic", "mqtt://:secret-1234@broker", "mqtt://bro ker", "mqtt://["),
        "mqtt://house:secret-1234/5@broker",
    ],
)
def test_an_address_that_no_broker_can_have_is_refused_in_a_sentence_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SettingsError, match="PLEX_COMPANION_MQTT_URL") as refused:
        Settings.load({"mqtt_url": url})
    assert url not in str(refused.value)
    assert "secret-1234" not in str(refused.value)


def test_the_address_and_the_password_of_a_broker_are_secrets() -> None:
    settings = Settings.load({"mqtt_url": "mqtt://house:p%40ss-1234@broker"})
    assert {"mqtt://house:p%40ss-1234@broker", "p@ss-1234"} <= set(settings.list_secrets())
    assert "1234" not in f"{settings!r} {settings} {settings.read_broker_address()!r}"
