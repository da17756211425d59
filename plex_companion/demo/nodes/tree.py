"""A Plex answer as a tree that can be written as XML or as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

Value = str | int | float | bool | None
METADATA_TAGS = frozenset({"Video", "Track", "Photo", "Playlist"})
# Discover's search results hold one item each, as an object and not as a list.
ONE_CHILD = frozenset({"SearchResult"})
# An element has at most one of these, which JSON writes as an object; the colours are unverified.
SINGLE = frozenset({"Extras", "Preferences", "UltraBlurColors"})
_ESCAPES = {"\r": "&#xD;", "\n": "&#xA;", "\t": "&#x9;"}


@dataclass(slots=True)
class Node:
    """One element. Attributes that are `None` are left out, as Plex leaves out what it does not know."""

    tag: str
    attributes: dict[str, Value] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def add(self, tag: str, /, **attributes: Value) -> Node:
        """Append a child and return it."""
        child = Node(tag, attributes)
        self.children.append(child)
        return child


def to_xml(node: Node) -> bytes:
    """Return the tree as XML, the answer without an `Accept` header, which python-plexapi reads."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(node, parts)
    return "".join(parts).encode("utf-8", "replace")


def _write(node: Node, parts: list[str]) -> None:
    written = "".join(f" {name}={_quote(value)}" for name, value in node.attributes.items() if value is not None)
    if not node.children:
        parts.append(f"<{node.tag}{written} />\n")
        return
    parts.append(f"<{node.tag}{written}>\n")
    for child in node.children:
        _write(child, parts)
    parts.append(f"</{node.tag}>\n")


def _quote(value: Value) -> str:
    if value is True or value is False:
        return '"1"' if value else '"0"'
    return quoteattr(str(value), _ESCAPES)


def to_json(node: Node) -> bytes:
    """Return the tree as JSON, the answer to `Accept: application/json`."""
    return json.dumps({node.tag: _convert_plain(node)}, ensure_ascii=False, separators=(",", ":")).encode()


def _convert_plain(node: Node) -> dict[str, Any]:
    body: dict[str, Any] = {name: value for name, value in node.attributes.items() if value is not None}
    for child in node.children:
        if node.tag in ONE_CHILD or child.tag in SINGLE:
            body[_choose_list_name(child)] = _convert_plain(child)
        else:
            body.setdefault(_choose_list_name(child), []).append(_convert_plain(child))
    return body


def _choose_list_name(node: Node) -> str:
    # In JSON Plex puts everything with a rating key under "Metadata"; section directories keep their own name.
    if node.tag in METADATA_TAGS or "ratingKey" in node.attributes:
        return "Metadata"
    return node.tag


def build_container(children: list[Node] | None = None, **attributes: Value) -> Node:
    """Build a `MediaContainer`; `size` is counted unless given."""
    children = children or []
    return Node("MediaContainer", {"size": len(children), **attributes}, children)
