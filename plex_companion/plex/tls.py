"""How the server's certificate is verified, over HTTP and over the websocket alike."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import certifi

from plex_companion.errors import SettingsError

if TYPE_CHECKING:
    from plex_companion.settings import Settings


def choose_verify(settings: Settings) -> bool | str:
    """Return the `verify` argument of requests: `False`, or the file of trusted authorities.

    Raises:
        SettingsError: the file of authorities is missing.
    """
    if not settings.plex_verify:
        return False
    if settings.plex_ca_file and not settings.plex_ca_file.is_file():
        raise SettingsError("PLEX_COMPANION_PLEX_CA_FILE names no file.")
    return str(settings.plex_ca_file) if settings.plex_ca_file else certifi.where()


def build_tls_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context of the websocket, which verifies as `choose_verify` says."""
    verify = choose_verify(settings)
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
