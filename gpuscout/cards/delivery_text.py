"""Where and when a member hears, in words."""

from __future__ import annotations

from collections.abc import Sequence

from config.i18n import Text
from gpuscout.accounts.delivery_choices import Quiet


def channel_name(channel: str, t: Text) -> str:
    """A channel of delivery."""
    return {
        "dm": t("direct message"),
        "mention": t("mention where you set it"),
        "email": t("e-mail"),
    }.get(channel, channel)


def channels_line(channels: Sequence[str], t: Text) -> str:
    """The channels in order; each is used when the one before it failed."""
    return t(", else ").join(channel_name(channel, t) for channel in channels) or t("nowhere")


def kind_name(kind: str, t: Text) -> str:
    """A kind of notification that can be muted."""
    return {"alert": t("Alerts"), "digest": t("Digests"), "notice": t("Notices")}.get(kind, kind)


def minute_text(minute: int) -> str:
    """A time of day, e.g. ``22:30``."""
    return f"{minute // 60:02}:{minute % 60:02}"


def quiet_line(quiet: Quiet | None, t: Text) -> str:
    """Quiet hours, e.g. ``22:00 to 07:00``."""
    if quiet is None:
        return t("none")
    return t("{start} to {end}", start=minute_text(quiet.start), end=minute_text(quiet.end))
