"""The plex.tv account to use: the owner's, or a profile of the Plex home with its own token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.errors import Invalid, PlexError, PlexForbidden, PlexUnauthorized
from plex_companion.plex.query import send
from plex_companion.plex.xml.attributes import read_number
from plex_companion.tools.users import find_user, mask_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.users import ServerUser

UNAUTHORIZED, FORBIDDEN = 401, 403


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """The profile that the caller named. The PIN is never shown."""

    user_id: str | None
    username: str | None
    pin: str | None = field(repr=False)


def parse_choice(home_user_id: str | None, username: str | None, pin: str | None) -> ProfileChoice:
    """Return the profile choice from the caller's arguments. Makes no request.

    Raises:
        Invalid: an id is not a number, or a PIN has no profile.
    """
    if home_user_id is not None and not home_user_id.strip().isdecimal():
        message = f"home_user_id must be a number from user_list_all_users; got '{home_user_id}'."
        raise Invalid(message, argument="home_user_id")
    named = username if username and username.strip() else None
    if pin is not None and home_user_id is None and named is None:
        raise Invalid("pin needs home_user_id or username.", argument="pin")
    return ProfileChoice(home_user_id, named, pin)


def find_chosen_user(plex: PlexServer, companion: Companion, who: ProfileChoice) -> ServerUser:
    """Return the chosen user, the owner by default. At most one request, two for an unknown name."""
    return find_user(plex, companion, who.username, who.user_id)


def open_profile(plex: PlexServer, companion: Companion, who: ProfileChoice) -> PlexServer:
    """Return Plex with the chosen profile's token, which is not kept; `plex` itself for the owner.

    Raises:
        PlexForbidden: the user is a friend outside the home, or the PIN is missing or wrong.
        PlexError: plex.tv switched to another user.
    """
    one_user = find_chosen_user(plex, companion, who)
    if one_user.is_owner:
        return plex
    name = mask_name(one_user.name, companion)
    if not one_user.home:
        message = f"'{name}' is not in the Plex home. Only the watchlists of home profiles are accessible."
        raise PlexForbidden(message)
    switched = _switch_account(plex, one_user, who.pin)
    if switched is None:
        raise PlexForbidden(f"plex.tv refused to switch to '{name}': the PIN is missing or wrong.")
    token = switched.get("authenticationToken") or switched.get("authToken")
    if read_number(switched, "id") != one_user.id or not token:
        raise PlexError(f"plex.tv did not switch to '{name}'. Nothing was changed; try again later.")
    return plex.switch_token(token)


def _switch_account(plex: PlexServer, user: ServerUser, pin: str | None) -> Element | None:
    """Switch to the profile and return its account; `None` if plex.tv refuses the PIN."""
    from plex_companion.plex.call import CURRENT_CALL  # noqa: PLC0415 - only here

    try:
        return send(plex.use_full_addresses(), "POST", f"https://plex.tv/api/home/users/{user.id}/switch", pin=pin)
    except (PlexUnauthorized, PlexForbidden):
        call = CURRENT_CALL.get()
        if call is None or call.status not in {UNAUTHORIZED, FORBIDDEN}:
            raise
    return None
