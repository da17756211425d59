"""Notifications to try parsers with: invented ones, recorded ones where they are at hand, and mutations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parents[1]
RECORDED = HERE.parents[1] / "shared" / "plexdata" / "frames"
INVENTED = [json.loads(line) for line in (HERE / "frames" / "invented.jsonl").read_text(encoding="utf-8").splitlines()]


def iterate_recorded() -> Iterator[dict[str, Any]]:
    """The recorded frames, none where they are not at hand."""
    for name in ("issue_frames.jsonl", "unverified_shapes.jsonl"):
        path = RECORDED / name
        if path.exists():
            yield from (json.loads(line)["frame"] for line in path.read_text(encoding="utf-8").splitlines())
    for path in sorted(RECORDED.glob("PlexTraktSync/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for container in content if isinstance(content, list) else [content]:
            yield {"NotificationContainer": container}


def entries_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    container = content.get("NotificationContainer", content)
    return next(value for value in container.values() if isinstance(value, list))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1", "-1", "playing", "stopped", "9" * 6000, "\ud800", "/livetv/sessions/x", "inf", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A good frame in which fields were retyped, removed or added, at any depth."""
    content = json.loads(json.dumps(draw(st.sampled_from(INVENTED))["frame"]))
    entries = entries_of(content)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(entries))
        place = place["Activity"] if isinstance(place.get("Activity"), dict) and draw(st.booleans()) else place
        place = place["Context"] if isinstance(place.get("Context"), dict) and draw(st.booleans()) else place
        name = draw(st.sampled_from([*place, "added"]))
        match draw(st.sampled_from(["retype", "remove", "duplicate"])):
            case "retype":
                place[name] = draw(JSON)
            case "remove":
                place.pop(name, None)
            case _:
                entries.append(dict(place))
    return json.dumps(content)
