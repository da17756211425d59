"""The services that messages go to, as Apprise knows them. What blocks here is called in a thread of its own."""

from __future__ import annotations

import logging
import re
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec.structs import replace

from plex_companion.changes.deliveries import DeliveryAttempt
from plex_companion.errors import SettingsError
from plex_companion.notify.message_texts import cut_text, fit_text, silence_mentions
from plex_companion.notify.schedule import NOT_TAKEN
from plex_companion.plex.pictures import EXTENSIONS, find_mime
from plex_companion.text import HIDDEN, clean, redact_personal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from apprise import AppriseAsset, AppriseResult, NotifyBase, NotifyFormat
    from apprise.attachment.memory import AttachMemory

    from plex_companion.models import Message

INSTALL = "pip install 'plex-companion[notify]'"
LONGEST_ANSWER = 300
"""Characters of what is repeated of a service's answer."""
SHORTEST_PART = 3
"""Characters of a part of a URL that is hidden; parts of one or two would damage every other word."""
READ_SECONDS = 120.0
"""How long a service may take to answer. Apprise's four seconds are too few: what a slow one has taken would be sent again."""
UNLIMITED = 32_768
"""What Apprise says of services that have no limit of their own, as mail."""
TAKEN = 200
"""Stands for whatever status an accepted message was answered with: Apprise does not pass it on."""
_STATUS = re.compile(r"error=([1-5]\d\d)(?:\d\d)?\b")
"""A status of HTTP, or one of ntfy's codes, which begin with it."""
NO_PICTURES: Mapping[str, bytes] = MappingProxyType({})
_INLINE = re.compile(r'<img [^>]*src="cid:([^"]+)"[^>]*>')
_PARTS = re.compile(r"[^\w%.~!$+-]+")
_NO_CONNECTION = ("connection error", "socket error", "timeout", "timed out")
"""In Apprise's words: nothing answered."""


class NotifyService:
    """One target of notifications, which a service of Apprise's takes messages for."""

    def __init__(self, name: str, url: str, plugin: NotifyBase) -> None:
        from apprise.plugins.email import NotifyEmail  # noqa: PLC0415 - takes long to import, and not everybody needs it

        self.name = name
        self.kind = str(plugin.service_name)
        """The name of the service, as `Discord`."""
        self.takes_pictures = bool(plugin.attachment_support)
        self.is_mail = isinstance(plugin, NotifyEmail)
        self._plugin = plugin
        self._parts = _list_parts(url)

    @property
    def most(self) -> int:
        """The most characters of a text that the service takes, with room for a title where it has none of its own."""
        limit = int(self._plugin.body_maxlen)
        return max(1, limit if self._plugin.title_maxlen > 0 else limit - limit // 8)

    def send(
        self, message: Message, picture: bytes | None = None, inline: Mapping[str, bytes] = NO_PICTURES
    ) -> DeliveryAttempt:
        """Send a message and return what became of it. Blocks.

        Args:
            message: what is sent.
            picture: its poster. What is no picture is left out, here and in `inline`.
            inline: those pictures in its HTML that there are, by name. What shows another one is left out.
        """
        import apprise  # noqa: PLC0415 - takes long to import, and not everybody needs it

        inline = {name: one for name, one in inline.items() if find_mime(one)}
        if self.is_mail:  # its plugin either shows pictures or attaches them
            self._plugin.inline = bool(inline)  # type: ignore[attr-defined]  # of that plugin alone
        sender = apprise.Apprise(asset=self._plugin.asset)
        sender.add(self._plugin)
        text, body_format = self._fit(
            show_inline(message, inline), apprise.NotifyFormat.TEXT, apprise.NotifyFormat.HTML
        )
        title = " ".join(silence_mentions(message.title).split())  # a line break would end the subject of a mail
        title = cut_text(title, int(self._plugin.title_maxlen) or self.most // 8)
        attached = _build_attachments(picture, inline) or None
        result = sender.notify(body=text, title=title, body_format=body_format, attach=attached)
        return self._read_answer(result)

    def _fit(self, message: Message, plain: NotifyFormat, rich: NotifyFormat) -> tuple[str, NotifyFormat]:
        """Return the text in the form that the service shows, as long as it takes, and which form it is."""
        if message.html is not None and self._shows_page(message.html, rich):
            return message.html, rich
        text = silence_mentions(message.text) or message.title
        if self._plugin.overflow_mode.value == "split":  # the URL asks for several messages
            return text, plain
        shown_as = self._plugin.resolve_format(plain)
        return fit_text(text, self.most, partial(_measure, plain=plain, shown_as=shown_as)), plain

    def _shows_page(self, html: str, rich: NotifyFormat) -> bool:
        """Return whether the service shows HTML, and so much of it: a page that was cut would be none."""
        takes_any = int(self._plugin.body_maxlen) >= UNLIMITED
        return bool(self._plugin.resolve_format(rich) == rich) and (takes_any or len(html) <= self.most)

    def _read_answer(self, result: AppriseResult) -> DeliveryAttempt:
        if result:
            return DeliveryAttempt(TAKEN, "taken")
        words = " ".join(str(entry.message) for entry in result.logs())
        status = _STATUS.search(words)
        if status is not None:
            return DeliveryAttempt(int(status[1]), f"HTTP {status[1]}", detail=self._hide_parts(words))
        away = any(sign in words.casefold() for sign in _NO_CONNECTION)
        return DeliveryAttempt(None, "cannot be reached" if away else NOT_TAKEN, detail=self._hide_parts(words))

    def _hide_parts(self, words: str) -> str:
        """Return what the service answered, without any part of the URL, which is a secret as a whole."""
        for part in self._parts:
            words = re.sub(re.escape(part), HIDDEN, words, flags=re.IGNORECASE)
        return cut_text(redact_personal(clean(words)), LONGEST_ANSWER)


def show_inline(message: Message, inline: Collection[str]) -> Message:
    """Return a message whose HTML shows only those pictures that there are, by name."""
    if message.html is None or not message.inline:
        return message
    return replace(message, html=_INLINE.sub(lambda tag: tag[0] if tag[1] in inline else "", message.html))


def _build_attachments(picture: bytes | None, inline: Mapping[str, bytes]) -> list[AttachMemory]:
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415 - as above

    poster = {f"poster{EXTENSIONS[mime]}": picture} if picture and (mime := find_mime(picture)) else {}
    found = ((name, one, find_mime(one)) for name, one in {**poster, **inline}.items())
    return [AttachMemory(one, name=name, mimetype=mime) for name, one, mime in found if mime]  # type: ignore[no-untyped-call]  # Apprise has no types


def _measure(text: str, *, plain: NotifyFormat, shown_as: NotifyFormat) -> int:
    """Return the length of a text in the form that a service shows."""
    from apprise.conversion import convert_between  # noqa: PLC0415 - as above

    return len(convert_between(plain, shown_as, text))  # type: ignore[no-untyped-call]  # the same


def _list_parts(url: str) -> list[str]:
    """Return the parts of a URL, the longest first, as they are and as they are read."""
    rest = url.partition("://")[2]
    parts = {part for one in (rest, unquote(rest)) for part in _PARTS.split(one) if len(part) >= SHORTEST_PART}
    return sorted(parts, key=len, reverse=True)


def load_apprise() -> None:
    """Import Apprise, which takes a while, and keep its log lines, which hold parts of URLs, out of ours.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import apprise  # noqa: F401, PLC0415 - not everybody needs it
    except ImportError:
        message = f"PLEX_COMPANION_NOTIFY needs Apprise, which is not installed. To install it: {INSTALL}"
        raise SettingsError(message) from None
    logging.getLogger("apprise").propagate = False


def open_services(targets: Mapping[str, str]) -> list[NotifyService]:
    """Return the services of targets, given by name and URL. Nothing is sent.

    Raises:
        SettingsError: Apprise is not installed, or a URL is none of its services'. The message has a line for each.
    """
    if not targets:
        return []
    load_apprise()
    found = {name: _open_plugin(url) for name, url in targets.items()}
    if unusable := [name for name, plugin in found.items() if plugin is None]:
        raise SettingsError("\n".join(map(_explain_unusable, unusable)))
    return [NotifyService(name, targets[name], plugin) for name, plugin in found.items() if plugin is not None]


def _explain_unusable(name: str) -> str:
    return (
        f"PLEX_COMPANION_NOTIFY: the URL of {name} is not one that Apprise can use. Its services and the form of their URLs: "
        "https://appriseit.com/services/"
    )


def _open_plugin(url: str) -> NotifyBase | None:
    """Return Apprise's plugin for a URL; `None` if it has none, or the URL lacks something."""
    import apprise  # noqa: PLC0415 - as above

    plugin = apprise.Apprise.instantiate(url, asset=_build_asset(), suppress_exceptions=True)
    if not isinstance(plugin, apprise.NotifyBase) or not plugin.enabled:
        return None
    if plugin.socket_read_timeout == type(plugin).socket_read_timeout:  # the URL has no `rto`
        plugin.socket_read_timeout = READ_SECONDS
    return plugin


def _build_asset() -> AppriseAsset:
    """Return what Apprise shows of the sender, and how it works.

    It keeps no files, and uses no threads of its own, as it would for a time limit: the program could not end before them.
    """
    import apprise  # noqa: PLC0415 - as above

    return apprise.AppriseAsset(
        app_id="plex-companion",
        app_desc="Plex Companion",
        app_url="https://www.plex.tv",
        image_url_mask=None,
        image_url_logo=None,
        async_mode=False,
        service_timeout=0,
        secure_logging=True,
        storage_mode="memory",
    )


def list_kinds(services: Iterable[NotifyService]) -> dict[str, str]:
    """Return the kind of service by the name of the target."""
    return {service.name: service.kind for service in services}
