"""Pictures by file or address: only from one folder, only from allowed addresses, only pictures (FAULTS 29 and 30)."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from support.picture_server import GIF, JPEG, PNG, WEBP, serve_pictures

from plex_companion.errors import Conflict, Invalid, NotFound, PathNotAllowed, TimedOut, TooLarge, ToolError
from plex_companion.plex.image_fetch import FetchPolicy, fetch_image, is_public, is_public_or_private, resolve_host
from plex_companion.plex.pictures import LARGEST, SAME_NAMES, clean_name, load_picture, save_picture
from plex_companion.settings import Settings, render_example

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.picture_server import PictureServer

OPENSSL = shutil.which("openssl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture
def image_server() -> Iterator[PictureServer]:
    with serve_pictures() as opened:
        yield opened


def settings_of(folder: Path | None, **more: Any) -> Settings:
    return Settings().model_copy(update={"media_folder": folder, **more})


def build_policy(*, authorities: str = certifi.where(), **names: list[str]) -> FetchPolicy:
    """Loopback is open; every name is this machine's unless it is told otherwise."""
    return FetchPolicy(lambda _: True, lambda host, _: names.get(host.partition(".")[0], ["127.0.0.1"]), authorities)


# -- files


@pytest.mark.parametrize(
    ("body", "mime"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp"), (GIF, "image/gif")],
    ids=["png", "jpeg", "webp", "gif"],
)
def test_the_kind_of_a_picture_is_told_by_its_content(folder: Path, body: bytes, mime: str) -> None:
    (folder / "lies.txt").write_bytes(body)
    found = load_picture(settings_of(folder), filepath="lies.txt")
    assert (found.body, found.mime, found.source) == (body, mime, "file")


def test_an_absolute_path_below_the_folder_is_taken(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "p.png").write_bytes(PNG)
    assert load_picture(settings_of(folder), filepath=str(folder / "a" / "p.png")).body == PNG


def test_no_folder_is_open_unless_configured(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(PNG)
    with pytest.raises(PathNotAllowed, match="PLEX_COMPANION_MEDIA_FOLDER"):
        load_picture(settings_of(None), filepath=str(tmp_path / "p.png"))


@pytest.mark.parametrize(
    "path", ["../secret.png", "a/../../secret.png", "../../../../etc/passwd", "/etc/passwd", "../media-2/p.png", "link.png", "up"]
)  # fmt: skip
def test_a_path_that_leads_outside_is_refused_whether_or_not_something_is_there(folder: Path, path: str) -> None:
    (folder.parent / "secret.png").write_bytes(PNG)
    (folder.parent / "media-2").mkdir()
    (folder.parent / "media-2" / "p.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "up").symlink_to(folder.parent / "nothing-there")
    with pytest.raises(PathNotAllowed, match="outside"):
        load_picture(settings_of(folder), filepath=path)


def test_a_link_that_stays_inside_is_followed(folder: Path) -> None:
    (folder / "p.png").write_bytes(PNG)
    (folder / "link.png").symlink_to("p.png")
    assert load_picture(settings_of(folder), filepath="link.png").body == PNG


def test_a_folder_that_is_itself_a_link_is_the_folder_it_points_to(folder: Path) -> None:
    (folder / "p.png").write_bytes(PNG)
    (folder.parent / "here").symlink_to(folder)
    assert load_picture(settings_of(folder.parent / "here"), filepath="p.png").body == PNG


def test_a_hard_link_in_a_folder_of_our_own_is_taken(folder: Path) -> None:
    (folder.parent / "download.png").write_bytes(PNG)
    (folder / "p.png").hardlink_to(folder.parent / "download.png")
    assert load_picture(settings_of(folder), filepath="p.png").body == PNG


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("given", [".", "theirs"])
def test_a_hard_link_in_a_folder_of_somebody_else_is_refused(folder: Path, given: str) -> None:
    (folder.parent / "secret.png").write_bytes(PNG)
    (folder / "theirs").mkdir()
    os.chown(folder / given, 65534, -1)
    (folder / "theirs" / "link.png").hardlink_to(folder.parent / "secret.png")
    (folder / "theirs" / "own.png").write_bytes(PNG)
    with pytest.raises(PathNotAllowed, match="hard link in a folder that belongs to another user"):
        load_picture(settings_of(folder), filepath="theirs/link.png")
    assert load_picture(settings_of(folder), filepath="theirs/own.png").body == PNG


@pytest.mark.parametrize("path", ["", "  ", "a\0b.png", "a\nb.png"])
def test_what_is_no_path_is_invalid(folder: Path, path: str) -> None:
    with pytest.raises(Invalid):
        load_picture(settings_of(folder), filepath=path)


def test_a_file_that_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        load_picture(settings_of(folder), filepath="p.png")


def test_a_loop_of_links_ends(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(NotFound):
        load_picture(settings_of(folder), filepath="a")


def test_a_pipe_and_a_folder_are_no_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir()
    for path in ("pipe", "sub"):
        with pytest.raises(ToolError):
            load_picture(settings_of(folder), filepath=path)


def test_a_file_that_is_no_picture_is_refused(folder: Path) -> None:
    (folder / "p.png").write_bytes(b"<svg onload=1/>")
    with pytest.raises(Invalid, match="PNG, JPEG, WebP or GIF"):
        load_picture(settings_of(folder), filepath="p.png")


def test_a_file_over_the_cap_is_too_large(folder: Path) -> None:
    with (folder / "p.png").open("wb") as file:
        file.write(PNG)
        file.truncate(LARGEST + 1)
    with pytest.raises(TooLarge) as caught:
        load_picture(settings_of(folder), filepath="p.png")
    assert caught.value.facts["limit_bytes"] == LARGEST


@pytest.mark.parametrize("given", [{}, {"filepath": "p.png", "url": "http://example.org/p.png"}])
def test_exactly_one_source_is_needed(folder: Path, given: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="poster_filepath or poster_url"):
        load_picture(settings_of(folder), **given, names=("poster_filepath", "poster_url"))  # type: ignore[arg-type]  # str values


# -- addresses


def test_a_picture_is_fetched_from_the_address_that_was_judged_under_its_own_name(image_server: PictureServer) -> None:
    found = load_picture(settings_of(None), url=image_server.url("/a b/p.png?x=1"), policy=build_policy())
    assert (found.body, found.mime, found.source) == (PNG, "image/png", "url")
    assert image_server.asked == [("/a%20b/p.png?x=1", f"pictures.test:{image_server.port}")]


def test_a_name_is_looked_up_once_so_that_a_second_answer_cannot_change_it(image_server: PictureServer) -> None:
    lookups: list[str] = []

    def changing(host: str, _: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["127.0.0.9"]

    assert fetch_image(image_server.url(), FetchPolicy(lambda _: True, changing, certifi.where()), most=LARGEST) == PNG
    assert lookups == ["pictures.test"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"]
)  # fmt: skip
@pytest.mark.parametrize("own_network", [False, True])
def test_this_machine_is_never_asked_however_it_is_written(
    image_server: PictureServer, host: str, own_network: bool
) -> None:
    with pytest.raises((PathNotAllowed, Invalid)):
        load_picture(settings_of(None, allow_private_image_urls=own_network), url=image_server.url(host=host))
    assert image_server.asked == []


@pytest.mark.parametrize(
    ("address", "anybody", "at_home"),
    [
        ("93.184.215.14", True, True),
        ("2606:4700::1111", True, True),
        ("192.168.1.5", False, True),
        ("10.0.0.5", False, True),
        ("172.20.0.2", False, True),
        ("100.100.1.1", False, True),
        ("fd00::2", False, True),
        ("::ffff:192.168.1.5", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("::", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("64:ff9b::7f00:1", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("64:ff9b::5db8:d70e", True, True),
        ("2002:7f00:1::1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - judged, not bound
        ("224.0.0.1", False, False),
        ("ff0e::1", False, False),
        ("255.255.255.255", False, False),
        ("240.0.0.1", False, False),
        ("198.18.0.1", False, False),
        ("0.1.2.3", False, False),
        ("192.0.0.8", False, False),
        ("192.0.0.170", False, False),
        ("192.0.2.1", False, False),
        ("198.51.100.7", False, False),
        ("203.0.113.7", False, False),
        ("192.88.99.1", False, False),
        ("192.0.1.1", True, True),
        ("100.128.0.1", True, True),
        ("172.32.0.1", True, True),
        ("fec0::2", False, False),
        ("feff::1", False, False),
        ("::10.0.0.1", False, False),
        ("::ffff:0:10.0.0.1", False, False),
        ("::ffff:93.184.215.14", True, True),
        ("64:ff9b:1::a00:1", False, False),
        ("100::1", False, False),
        ("2001:0:5db8:d70e::1", False, False),
        ("2001:2::1", False, False),
        ("2001:10::1", False, False),
        ("2001:20::1", False, False),
        ("2001:db8::1", False, False),
        ("2002:5db8:d70e::1", False, False),
        ("3fff::1", False, False),
        ("4000::1", False, False),
        ("5f00::1", False, False),
        ("fe80::1%eth0", False, False),
        ("ff02::1", False, False),
        ("2a00:1450::1", True, True),
    ],
)
def test_which_addresses_may_be_asked(address: str, anybody: bool, at_home: bool) -> None:
    parsed = ipaddress.ip_address(address)
    assert (is_public(parsed), is_public_or_private(parsed)) == (anybody, at_home)


def test_one_forbidden_address_among_several_refuses_the_name(image_server: PictureServer) -> None:
    mixed = FetchPolicy(is_public, lambda *_: ["93.184.215.14", "127.0.0.1"], certifi.where())
    with pytest.raises(PathNotAllowed, match=r"pictures\.test"):
        load_picture(settings_of(None), url=image_server.url(), policy=mixed)
    assert image_server.asked == []


def test_a_redirect_is_not_followed(image_server: PictureServer) -> None:
    with pytest.raises(Invalid, match="redirects"):
        load_picture(settings_of(None), url=image_server.url("/moved"), policy=build_policy())
    assert [path for path, _ in image_server.asked] == ["/moved"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://pictures.test/p.png", "gopher://pictures.test", "pictures.test/p.png", "//pictures.test/p.png",
        "http://", "https:///p.png", "http://[::1", "http://pictures.test:0/p.png", "http://pictures.test:99999/p.png",
        "http://user:password@pictures.test/p.png", "", "javascript:alert(1)", "http://a\nb/p.png",
    ],
)  # fmt: skip
def test_only_plain_web_addresses_are_taken(url: str) -> None:
    lookups: list[str] = []

    def noting(host: str, _: int) -> list[str]:
        lookups.append(host)
        return []

    with pytest.raises(Invalid):
        load_picture(settings_of(None), url=url, policy=FetchPolicy(lambda _: True, noting, certifi.where()))
    assert not [host for host in lookups if "/" in host or "@" in host]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/missing", Invalid, "HTTP 404"),
        ("/page", Invalid, "holds no picture"),
        ("/announced", TooLarge, "16 MiB"),
        ("/endless", TooLarge, "16 MiB"),
        ("/cut", Invalid, "no picture"),
    ],
)
def test_what_is_no_picture_of_a_fitting_size_is_refused(
    image_server: PictureServer, path: str, error: type[ToolError], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_picture(settings_of(None), url=image_server.url(path), policy=build_policy())


def test_a_slow_drip_ends_at_the_deadline(image_server: PictureServer) -> None:
    with pytest.raises(TimedOut, match=r"pictures\.test"):
        fetch_image(image_server.url("/drip"), build_policy(), most=LARGEST, seconds=0.2)


def test_a_server_that_says_nothing_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://pictures.test:{silent.getsockname()[1]}/p.png"
        with pytest.raises(TimedOut):
            fetch_image(url, build_policy(), most=LARGEST, seconds=0.2)


def test_the_next_address_of_a_name_is_tried_when_the_first_cannot_be_connected(image_server: PictureServer) -> None:
    assert fetch_image(image_server.url(), build_policy(pictures=["127.0.0.9", "127.0.0.1"]), most=LARGEST) == PNG


def test_nobody_there_and_no_such_name_are_told_in_plain_words() -> None:
    with pytest.raises(Invalid, match="connection refused"):
        fetch_image("http://pictures.test:9/p.png", build_policy(), most=LARGEST)
    with pytest.raises(Invalid, match="the name has no address"):
        fetch_image("http://pictures.invalid/p.png", FetchPolicy.create(own_network=True), most=LARGEST)


def test_the_system_finds_addresses() -> None:
    assert "127.0.0.1" in resolve_host("localhost", 80)


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=pictures"
    cert, key = tmp_path / "cert", tmp_path / "key"
    files = ["-addext", "subjectAltName=DNS:pictures.test", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([str(OPENSSL), *made.split(), *files], check=True, capture_output=True)  # noqa: S603 - ours
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.sni_callback = lambda _, name, __: names.append(name)
    with serve_pictures(tls=context) as image_server:
        trusting = build_policy(authorities=str(cert))
        assert fetch_image(image_server.url(scheme="https"), trusting, most=LARGEST) == PNG
        assert names == ["pictures.test"]
        with pytest.raises(Invalid, match="another name"):
            fetch_image(image_server.url(scheme="https", host="other.test"), trusting, most=LARGEST)
        with pytest.raises(Invalid, match="authority is not known"):
            fetch_image(image_server.url(scheme="https"), build_policy(), most=LARGEST)


# -- keeping


def test_artwork_is_kept_below_the_folder_under_a_fitting_name(folder: Path) -> None:
    kept = save_picture(settings_of(folder), JPEG, folder="out/posters", name="Alien")
    assert kept == folder / "out" / "posters" / "Alien.jpg"
    assert kept.read_bytes() == JPEG


def test_nothing_that_is_there_is_overwritten(folder: Path) -> None:
    (folder / "Alien.png").write_bytes(b"mine")
    (folder / "Alien-2.png").symlink_to(folder.parent / "elsewhere.png")
    assert save_picture(settings_of(folder), PNG, folder="./", name="Alien").name == "Alien-3.png"
    assert (folder / "Alien.png").read_bytes() == b"mine"
    assert not (folder.parent / "elsewhere.png").exists()


def test_a_crowd_of_same_names_is_a_conflict(folder: Path) -> None:
    for number in range(SAME_NAMES):
        (folder / (f"a-{number + 1}.png" if number else "a.png")).touch()
    with pytest.raises(Conflict):
        save_picture(settings_of(folder), PNG, folder=".", name="a")


@pytest.mark.parametrize("where", ["..", "/tmp", "out/../../x", "link"])  # noqa: S108 - refused
def test_nothing_is_written_outside_the_folder(folder: Path, where: str) -> None:
    (folder / "link").symlink_to(folder.parent)
    with pytest.raises(PathNotAllowed):
        save_picture(settings_of(folder), PNG, folder=where, name="a")
    assert [path.name for path in folder.parent.iterdir()] == ["media"]


def test_a_file_where_the_folder_should_be_is_told(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(PathNotAllowed, match="Nothing can be written"):
        save_picture(settings_of(folder), PNG, folder="file", name="a")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../x", "x"),
        ("..", "picture"),
        ("", "picture"),
        ("AC/DC: Live?", "AC_DC_Live"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("C:\\Windows\\x", "C_Windows_x"),
        ("a\x1b[31m\u202eb", "a[31mb"),
        ("斗罗大陆", "斗罗大陆"),
        ("é" * 100, "é" * 60),
    ],
)
def test_a_title_becomes_a_harmless_file_name(title: str, name: str) -> None:
    assert clean_name(title) == name


def test_both_settings_are_in_the_example() -> None:
    assert "#PLEX_COMPANION_MEDIA_FOLDER=\n" in render_example()
    assert "#PLEX_COMPANION_ALLOW_PRIVATE_IMAGE_URLS=false\n" in render_example()
