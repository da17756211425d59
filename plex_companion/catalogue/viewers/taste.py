"""What somebody likes, by what they finished lately, and which items fit it. Pure: the same rows give the same answer."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FADING = 0.95
"""What a finished item counts, compared with the one that was finished after it."""
KINDS = {"person": 3.0, "genre": 2.0, "studio": 1.0, "decade": 0.5}
"""How much it says that two items have one in common."""
MOST_ABANDONED = 0.8
"""What an abandoned item counts against, compared with a finished one."""
RATED = 0.02
"""What a point of the rating counts: it only decides between items that fit alike."""


class Feature(NamedTuple):
    """Something that items have in common."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A movie or show that was finished, or left unfinished."""

    id: int
    title: str
    at: int
    features: frozenset[Feature]
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class UnwatchedItem:
    """A movie or show that may be recommended."""

    id: int
    rating: float
    features: frozenset[Feature]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An item, and what links it best to what was finished."""

    id: int
    score: float
    link: Feature | None
    because: tuple[Seen, ...]
    """The finished items that have this in common with it, the latest first."""


def recommend(seen: Sequence[Seen], candidates: Sequence[UnwatchedItem]) -> list[Recommendation]:
    """Return the candidates that fit, best first. Without anything finished, all of them, by rating."""
    finished = sorted((one for one in seen if not one.abandoned), key=lambda one: (-one.at, one.id))
    if not finished:
        ranked = [Recommendation(one.id, one.rating * RATED, None, ()) for one in candidates]
    else:
        weights = _weigh_features(finished, [one for one in seen if one.abandoned], candidates)
        links = {
            feature: tuple(one for one in finished if feature in one.features)
            for feature, weight in weights.items()
            if weight > 0
        }
        ranked = [found for one in candidates if (found := _judge(one, weights, links)) is not None]
    return sorted(ranked, key=lambda one: (-one.score, one.id))


def _weigh_features(
    finished: Sequence[Seen], abandoned: Iterable[Seen], candidates: Iterable[UnwatchedItem]
) -> Mapping[Feature, float]:
    """Return what each feature counts: more if it is of recent items, and if few candidates have it."""
    liked: Counter[Feature] = Counter()
    for place, one in enumerate(finished):
        liked.update(dict.fromkeys(one.features, FADING**place))
    for place, one in enumerate(sorted(abandoned, key=lambda one: (-one.at, one.id))):
        liked.subtract(dict.fromkeys(one.features, MOST_ABANDONED * FADING**place))
    common = Counter(feature for one in candidates for feature in one.features if feature in liked)
    every = max(1, sum(1 for _ in candidates))
    return {
        feature: KINDS[feature.kind] * _dampen(weight) * math.log1p(every / (1 + common[feature]))
        for feature, weight in liked.items()
    }


def _dampen(weight: float) -> float:
    """Return a smaller weight: what is in all that was finished says less of each than its sum."""
    return math.copysign(math.sqrt(abs(weight)), weight)


def _judge(
    one: UnwatchedItem, weights: Mapping[Feature, float], links: Mapping[Feature, tuple[Seen, ...]]
) -> Recommendation | None:
    """Return how well a candidate fits and why; `None` if it has nothing in common, or more with what was abandoned.

    `links` has the finished items of every feature that counts for a candidate.
    """
    shared = sorted(one.features & weights.keys())
    fit = sum(weights[feature] for feature in shared)
    linking = [feature for feature in shared if feature in links]
    if fit <= 0 or not linking:
        return None
    best = max(linking, key=lambda feature: weights[feature])
    return Recommendation(one.id, fit / math.sqrt(1 + len(one.features)) + one.rating * RATED, best, links[best])


def describe_reason(found: Recommendation, who: str | None) -> str:
    """Return in one sentence why an item is recommended. `who` is the name of a user; `None` is the household."""
    if found.link is None:
        known = f"{who} has finished nothing" if who else "Nothing was finished"
        return f"{known} yet, so this is simply one of the best rated."
    first, *others = found.because
    more = f" and {len(others)} more" if others else ""
    titles = f"“{first.title}”{more}"
    finisher = f"{who} finished" if who else "was finished here" if not others else "were finished here"
    match found.link.kind:
        case "person":
            return f"With {found.link.name}, as in {titles}, which {finisher}."
        case "genre":
            return f"{found.link.name}, like {titles}, which {finisher}."
        case "studio":
            return f"From {found.link.name}, like {titles}, which {finisher}."
        case _:
            return f"From the {found.link.name}, like {titles}, which {finisher}."
