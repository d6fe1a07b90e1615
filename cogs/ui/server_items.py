"""The controls of ``/server``: alive as long as the message, and each one asks again who clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from discord import ui

from cogs.account_errors import NotInRange
from cogs.feed_test import post_test
from cogs.replies import Place, Reply, text_of
from cogs.server_flow import Panel, ServerFlow, require_admin
from cogs.ui.base import Interaction, ScoutItem, ScoutModal
from cogs.ui.confirm import Confirm
from cogs.usage import record_interaction, seam
from config.i18n import Text
from gpuscout.accounts.servers import ServerSettings
from gpuscout.cards import server_card as cards
from gpuscout.cards.kit import Card
from gpuscout.cards.state import BadState

HOUR: Final = (0, 23)
THRESHOLD: Final = (1, 100)
POSTS: Final = (1, 24)


def saved(panel: Callable[..., Card], t: Text) -> Panel:
    """A panel that says that something was saved."""
    return lambda settings, facts, words: panel(settings, facts, "✅ " + t("Saved."), words)


def roles_panel(settings: ServerSettings, facts: cards.ServerFacts, note: str | None, t: Text) -> Card:
    """The panel of the alert roles, with the shape of the others."""
    return cards.roles_card(settings, note, t)


def server_items(flow: ServerFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself."""

    class ServerItem(ScoutItem[ui.Item[Any]], template=r"srv\d+\|(?P<state>[a-z]+)"):
        """Any control of a panel."""

        usage_name = "server panel"

        async def act(self, interaction: Interaction) -> None:
            require_admin(interaction)
            action = str(self.custom_id).partition("|")[2]
            await _act(flow, interaction, action)

    return (ServerItem,)


async def _act(flow: ServerFlow, interaction: Interaction, action: str) -> None:
    t = text_of(interaction)
    reply = Reply(interaction, Place.IN_PLACE)
    feed = saved(cards.feed_card, t)
    if action in (cards.CHANNELS, cards.EVERYWHERE):
        chosen = _ids(interaction) if action == cards.CHANNELS else ()
        await flow.change(reply, lambda s: s.changed(public_channels=chosen), saved(cards.channels_card, t))
    elif action in (cards.ROLES, cards.NO_ROLES):
        chosen = _ids(interaction) if action == cards.ROLES else ()
        await flow.change(reply, lambda s: s.changed(roles=chosen), saved(roles_panel, t))
    elif action == cards.FEED_CHANNEL:
        await flow.change_feed(reply, {"channel_id": _one(_ids(interaction))}, feed)
    elif action == cards.FEED_MODE:
        await flow.change_feed(reply, {"mode": _mode(interaction)}, feed)
    elif action == cards.FEED_PING:
        await flow.change(reply, lambda s: s.with_feed(ping=not s.feed.ping), feed)
    elif action == cards.FEED_RESUME:
        await flow.change(reply, lambda s: s.with_feed(paused=None, since=flow.services.clock()), feed)
    elif action == cards.FEED_FORM:
        guild = require_admin(interaction)
        await interaction.response.send_modal(FeedForm(flow, await flow.services.servers.get(guild.id), t))
    elif action == cards.FEED_TEST:
        await post_test(flow.services, Reply(interaction, Place.PRIVATE))
    elif action == cards.NO_DEFAULTS:
        await flow.change(reply, lambda s: s.changed(gpu=None, platform=None), _defaults_panel(interaction, t))
    elif action == cards.ERASE:
        await _ask_erase(interaction, t)
    else:
        raise BadState("unknown action")


def _defaults_panel(interaction: Interaction, t: Text) -> Panel:
    command = seam(interaction.client).mention("server defaults")
    return lambda settings, facts, words: cards.defaults_card(facts, command, "✅ " + t("Saved."), words)


async def _ask_erase(interaction: Interaction, t: Text) -> None:
    said = t("This erases everything that was set for this server, and the list of its feed posts, at once.")
    question = Confirm(
        f"## {t('Erase all settings')}\n{said}",
        yes=t("Erase"),
        act=_erase,
        owner=interaction.user.id,
        name="erase server",
        t=t,
    )
    await question.ask(Reply(interaction, Place.PRIVATE))


async def _erase(interaction: Interaction) -> str:
    guild = require_admin(interaction)
    await seam(interaction.client).services.servers.erase(guild.id)
    return text_of(interaction)("Done: this server's settings are erased.")


def _ids(interaction: Interaction) -> tuple[int, ...]:
    """Chosen channels or roles; Discord itself checks that they are of this server."""
    try:
        return tuple(int(value) for value in _values(interaction))
    except (TypeError, ValueError):
        raise BadState("not ids") from None


def _values(interaction: Interaction) -> list[Any]:
    """What was chosen in a menu, as Discord sent it."""
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    return list(values) if isinstance(values, list) else []


def _one(ids: tuple[int, ...]) -> int:
    if len(ids) != 1:
        raise BadState("nothing chosen")
    return ids[0]


def _mode(interaction: Interaction) -> str:
    values = _values(interaction)
    if values not in (["off"], ["daily"], ["moves"], ["both"]):
        raise BadState("unknown mode")
    return str(values[0])


class FeedForm(ScoutModal):
    """Hour, size of a move, number of posts."""

    def __init__(self, flow: ServerFlow, settings: ServerSettings, t: Text) -> None:
        super().__init__(title=t("Market feed"), timeout=600)
        self._flow = flow
        feed = settings.feed
        self.hour: ui.TextInput[Any] = ui.TextInput(custom_id="hour", default=str(feed.hour), max_length=2)
        self.threshold: ui.TextInput[Any] = ui.TextInput(
            custom_id="threshold", default=f"{feed.threshold:g}", max_length=6
        )
        self.posts: ui.TextInput[Any] = ui.TextInput(custom_id="posts", default=str(feed.max_posts), max_length=2)
        zone = settings.timezone
        self._label(t("Hour of the daily post"), t("0 to 23, in {zone}", zone=zone), self.hour)
        self._label(t("Size of a big move"), t("Change within 24 hours, in percent: 1 to 100"), self.threshold)
        self._label(t("Most posts a day"), t("Daily post and moves together: 1 to 24"), self.posts)

    def _label(self, text: str, description: str, field: ui.TextInput[Any]) -> None:
        self.add_item(ui.Label(text=text[:45], description=description[:100], component=field))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, save, and show the panel anew."""
        require_admin(interaction)
        values: dict[str, Any] = {
            "hour": _whole(self.hour.value, "hour", HOUR),
            "threshold": _decimal(self.threshold.value, "threshold", THRESHOLD),
            "max_posts": _whole(self.posts.value, "posts", POSTS),
        }
        t = text_of(interaction)
        settings = await self._flow.services.servers.get(require_admin(interaction).id)
        if values["hour"] != settings.feed.hour:
            values["since"] = self._flow.services.clock()  # no post is made up for an hour that is set afterwards
        await self._flow.change(
            Reply(interaction, Place.IN_PLACE), lambda s: s.with_feed(**values), saved(cards.feed_card, t)
        )
        record_interaction(interaction, "server feed form", "component", "ok")


def _whole(text: str, field: str, limits: tuple[int, int]) -> int:
    value = _decimal(text, field, limits)
    if value != int(value):
        raise NotInRange(field, *limits)
    return int(value)


def _decimal(text: str, field: str, limits: tuple[int, int]) -> float:
    """A number with point or comma, a percent sign allowed."""
    try:
        value = float(text.strip().rstrip("%").strip().replace(",", "."))
    except ValueError:
        raise NotInRange(field, *limits) from None
    if not limits[0] <= value <= limits[1]:  # also what is no number
        raise NotInRange(field, *limits)
    return value
