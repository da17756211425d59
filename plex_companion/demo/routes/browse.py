"""The server's folders, which a client browses to add a library: those of the libraries and of their files."""

from __future__ import annotations

import base64
import binascii
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import HttpRefusal, build_page

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest
    from plex_companion.demo.server_state import ServerState


def _build_key(path: str) -> str:
    return f"/services/browse/{base64.b64encode(path.encode()).decode()}"


def list_folders(server: ServerState) -> set[str]:
    """Return every folder: those of the libraries, those of their files, and all parents of these."""
    ends = {path for section in server.sections.values() for path in section.paths}
    ends |= {str(PurePosixPath(path).parent) for path in _list_files(server)}
    return ends | {str(above) for path in ends for above in PurePosixPath(path).parents}


def _list_files(server: ServerState) -> set[str]:
    return {part.file for item in server.items.values() for media in item.media for part in media.parts}


def browse_folder(request: DemoRequest) -> Node:
    """Answer `GET /services/browse[/BASE64]?includeFiles=`: the content of a folder. An unknown folder gets 400 (unverified, there is no recording)."""
    request.require_owner()
    try:
        folder = base64.b64decode(request.args.get("path", "") or base64.b64encode(b"/"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise HttpRefusal(400) from None
    known = list_folders(request.state)
    if folder not in known:
        raise HttpRefusal(400)
    rows = [
        _build_folder_node("Path", path)
        for path in sorted(known)
        if path != "/" and str(PurePosixPath(path).parent) == folder
    ]
    if request.get("includeFiles", "1") != "0":
        rows += [
            _build_folder_node("File", path)
            for path in sorted(_list_files(request.state))
            if str(PurePosixPath(path).parent) == folder
        ]
    return build_page(request, rows, lambda row: row)


def _build_folder_node(tag: str, path: str) -> Node:
    where = {"home": False, "network": False} if tag == "Path" else {}
    return Node(tag, {"key": _build_key(path), "path": path, "title": PurePosixPath(path).name, **where})


ROUTES = (
    ("GET", "/services/browse", browse_folder),
    ("GET", "/services/browse/", browse_folder),
    ("GET", "/services/browse/{path}", browse_folder),
)
