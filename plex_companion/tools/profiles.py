"""Whose account at plex.tv is meant: the owner's, or a profile of the home with its own token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.errors import Invalid, PlexError, PlexForbidden
from plex_companion.tools.ask import as_token, at_addresses, send
from plex_companion.tools.facts import number
from plex_companion.tools.people import find_user, shown

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion
    from plex_companion.tools.people import Person

UNAUTHORIZED, FORBIDDEN = 401, 403


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who was named. The PIN is shown nowhere."""

    user_id: str | None
    username: str | None
    pin: str | None = field(repr=False)


def chosen(home_user_id: str | None, username: str | None, pin: str | None) -> Chosen:
    """The caller's three arguments, checked before anything is asked.

    Raises:
        Invalid: an id that is no number, or a PIN for nobody.
    """
    if home_user_id is not None and not home_user_id.strip().isdecimal():
        message = f"home_user_id must be a number, as user_list_all_users gives; got '{home_user_id}'."
        raise Invalid(message, argument="home_user_id")
    named = username if username and username.strip() else None
    if pin is not None and home_user_id is None and named is None:
        raise Invalid("pin needs home_user_id or username: whose PIN is it?", argument="pin")
    return Chosen(home_user_id, named, pin)


def user_of(plex: PlexServer, companion: Companion, who: Chosen) -> Person:
    """The user who was named; the owner when nobody was. At most one request, a stranger costs two."""
    return find_user(plex, companion, who.username, who.user_id)


def profile(plex: PlexServer, companion: Companion, who: Chosen) -> PlexServer:
    """Plex with the token of the profile that was named, for as long as the caller holds it; `plex` for the owner.

    Raises:
        PlexForbidden: a friend outside the home, or the PIN is missing or wrong.
        PlexError: plex.tv switched to somebody else.
    """
    person = user_of(plex, companion, who)
    if person.is_owner:
        return plex
    name = shown(person.name, companion)
    if not person.home:
        message = f"'{name}' is not in the Plex home. Only profiles of the home have a watchlist that can be reached."
        raise PlexForbidden(message)
    switched = _switched(plex, person, who.pin)
    if switched is None:
        raise PlexForbidden(f"plex.tv refused to switch to '{name}': the PIN is missing or wrong.")
    token = switched.get("authenticationToken") or switched.get("authToken")
    if number(switched, "id") != person.id or not token:
        raise PlexError(f"plex.tv did not switch to '{name}'. Nothing was changed; try again later.")
    return as_token(plex, token)


def _switched(plex: PlexServer, person: Person, pin: str | None) -> Element | None:
    """The account switched to; `None` if refused. What plexapi says of a refusal quotes the PIN, so it ends here."""
    from plexapi.exceptions import BadRequest  # noqa: PLC0415 - importing plexapi takes long

    from plex_companion.plex.errands import CURRENT  # noqa: PLC0415 - only here

    try:
        return send(at_addresses(plex), "POST", f"https://plex.tv/api/home/users/{person.id}/switch", pin=pin)
    except BadRequest:
        errand = CURRENT.get()
        if errand is None or errand.status not in {UNAUTHORIZED, FORBIDDEN}:
            raise
    return None
