"""The settings that a demo server lists at `/:/prefs`: a small selection, with Plex's ids and our own words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pref:
    """One setting. `type` is text, int, double or bool; `choices` is Plex's `enumValues` form."""

    id: str
    label: str
    type: str
    default: str | int | float | bool
    value: str | int | float | bool
    group: str
    summary: str = ""
    hidden: bool = False
    advanced: bool = False
    choices: str | None = None

    def set(self, text: str) -> None:
        """Set a new value from its text in a query string."""
        self.value = text.lower() in {"1", "true"} if self.type == "bool" else text


def build_section_prefs() -> dict[str, Pref]:
    """Return the default settings of a library."""
    prefs = (
        Pref("hidden", "Visibility", "int", 0, 0, "", choices="0:Include|1:Exclude from home|2:Exclude everywhere"),
        Pref("enableBIFGeneration", "Video previews", "bool", default=True, value=True, group=""),
        Pref("collectionMode", "Collections", "int", 2, 2, "", choices="0:Disabled|1:Hide items in collections|2:Show collections and items"),
        Pref("enableCinemaTrailers", "Cinema trailers", "bool", default=True, value=True, group=""),
        Pref("augmentWithProviderContent", "Extras from plex.tv", "bool", default=True, value=True, group=""),
        Pref("enableCreditsMarkerGeneration", "Credits detection", "bool", default=True, value=True, group=""),
    )  # fmt: skip
    return {pref.id: pref for pref in prefs}


def build_default_prefs(name: str) -> dict[str, Pref]:
    """Return the default settings of a server called `name`."""
    prefs = (
        Pref("FriendlyName", "Friendly name", "text", "", name, "general", "The name others see."),
        Pref("sendCrashReports", "Send crash reports", "bool", default=True, value=False, group="general"),
        Pref("FSEventLibraryUpdatesEnabled", "Scan when files change", "bool", default=False, value=True, group="library"),
        Pref("ScheduledLibraryUpdatesEnabled", "Scan periodically", "bool", default=False, value=False, group="library"),
        Pref("ScheduledLibraryUpdateInterval", "Scan interval", "int", 3600, 3600, "library", choices="900:15 minutes|3600:hourly|86400:daily"),
        Pref("allowMediaDeletion", "Allow media deletion", "bool", default=False, value=True, group="library"),
        Pref("OnDeckWindow", "Weeks of Continue Watching", "int", 16, 16, "library"),
        Pref("autoEmptyTrash", "Empty trash after every scan", "bool", default=True, value=True, group="library"),
        Pref("logDebug", "Debug logging", "bool", default=True, value=True, group="general", advanced=True),
        Pref("PublishServerOnPlexOnlineKey", "Remote access", "bool", default=False, value=True, group="network"),
        Pref("WanTotalMaxUploadRate", "Upload limit", "int", 0, 40000, "network", advanced=True),
        Pref("TranscoderQuality", "Transcoder quality", "int", 0, 0, "transcoder", choices="0:Automatic|1:Faster|2:Higher quality"),
        Pref("HardwareAcceleratedCodecs", "Hardware encoding", "bool", default=False, value=True, group="transcoder"),
        Pref("ButlerStartHour", "Maintenance starts", "int", 2, 2, "butler", choices="2:2 am|3:3 am|4:4 am"),
        Pref("ButlerEndHour", "Maintenance ends", "int", 5, 5, "butler", choices="5:5 am|6:6 am|7:7 am"),
        Pref("MachineIdentifier", "", "text", "", "hidden", "", hidden=True),
    )  # fmt: skip
    return {pref.id: pref for pref in prefs}
