"""The buttons of alert messages: in a channel, in a DM, after a restart, clicked by whom they do not concern."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import discord
import pytest

from config.i18n import translator_for
from gpuscout.alerts.messages import AlertItem, ExpiredItem
from gpuscout.alerts.ports import Attempt, LedgerEntry, RuleView, Watched
from gpuscout.alerts.rules import GpuScope, Manners, Owner, PriceRule, Rule
from gpuscout.cards.alert_message import MessageFacts, alert_message, expired_message
from gpuscout.cards.alert_state import AlertAction, pack
from gpuscout.cards.alert_text import Names
from tests.cogs.conftest import Scene, buttons, pictures, selects, texts
from tests.fakes import NOW, SEEN, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

T = translator_for(None)
WHEN = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand"), direction="below", level=0.30)
FACTS = MessageFacts(Names(lambda slug: slug.upper(), lambda slug: slug.title()))


def item(view: RuleView, **values: Any) -> AlertItem:
    given: dict[str, Any] = {
        "rule_id": view.id,
        "server": view.owner.server,
        "when": view.rule.when,
        "kind": view.rule.kind,
        "happened": "below",
        "metric": "price",
        "gpu": "rtx-4090",
        "platform": "vast",
        "before": 0.31,
        "after": 0.29,
        "threshold": 0.30,
        "at": SEEN,
    }
    return AlertItem(**{**given, **values})


async def made(scene: Scene, world: World, *, server: bool = False, level: float = 0.30, **manners: Any) -> RuleView:
    owner = Owner(member_id=scene.alice.id, guild_id=scene.channel.guild.id, channel_id=scene.channel.id, server=server)
    rule = Rule(when=WHEN.model_copy(update={"level": level}), manners=Manners(**manners))
    return await world.alerts.create(owner, rule)


async def sent(scene: Scene, *items: AlertItem, guild_id: int | None = None) -> Any:
    """The message, posted where everybody sees it."""
    facts = MessageFacts(FACTS.names, guild_id=guild_id)
    message = alert_message(items, facts, T)
    channel = scene.env.bot.get_channel(scene.channel.id)
    await channel.send(embeds=list(message.embeds), view=message.view)
    return scene.channel.last_message


@pytest.fixture
def admin(scene: Scene) -> Any:
    guild = scene.channel.guild
    role = guild.create_role("staff", permissions=discord.Permissions(manage_guild=True))
    return guild.add_member(scene.env.create_user("ada"), roles=[role])


async def test_the_buttons_of_one_alert(scene: Scene, world: World) -> None:
    message = await sent(scene, item(await made(scene, world)))
    assert list(buttons(message)) == ["Pause", "Show chart", "Edit", "Why?"]
    (menu,) = selects(message)
    assert [option["value"] for option in menu["options"]] == ["1", "8", "24"]


@pytest.mark.parametrize("hours", [1, 8, 24])
async def test_snooze_and_its_end_after_a_restart(scene: Scene, world: World, make_bot: Any, hours: int) -> None:
    view = await made(scene, world)
    message = await sent(scene, item(view))
    await scene.env.restart_bot(make_bot())
    done = await scene.alice.select(message, [str(hours)], custom_id=pack(AlertAction.SNOOZE, view.id))
    assert done.ephemeral
    assert "**Snoozed until <t:" in texts(done.response)
    assert world.alerts.rules[1].snoozed_until == NOW + timedelta(hours=hours)
    awake = await scene.alice.click(done.response, label="End the snooze")
    assert "The snooze is over." in texts(awake.response)
    assert world.alerts.rules[1].snoozed_until is None


async def test_pause_chart_edit_after_a_restart(scene: Scene, world: World, make_bot: Any) -> None:
    message = await sent(scene, item(await made(scene, world)))
    await scene.env.restart_bot(make_bot())
    paused = await scene.alice.click(message, label="Pause")
    assert paused.ephemeral
    assert world.alerts.rules[1].state == "paused"
    chart = await scene.alice.click(message, label="Show chart")
    assert chart.ephemeral
    assert len(pictures(chart.response)) == 1
    form = await scene.alice.click(message, label="Edit")
    values = {"level": "0.28", "severity": ["info"], "polls": "", "expires": "never"}
    proposed = await scene.alice.submit_modal(form, values)
    assert proposed.ephemeral
    await scene.alice.click(proposed.response, label="Save")
    assert world.alerts.rules[1].rule.when.level == 0.28


async def test_without_history_the_chart_button_says_so(scene: Scene, world: World) -> None:
    message = await sent(scene, item(await made(scene, world)))
    world.market.history_error = RuntimeError("gone")
    chart = await scene.alice.click(message, label="Show chart")
    assert "There is no chart of what this alert watches." in texts(chart.response)


async def test_why(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    subject = "vast|rtx-4090|global|on-demand|any|any"
    world.alerts.watched[view.id] = [Watched("price", subject, 0.29, SEEN, 0.31, "rearm", 1)]
    world.alerts.ledger[view.id] = [
        LedgerEntry(
            SEEN,
            SEEN,
            "fired",
            None,
            1,
            "price",
            subject,
            0.29,
            0.30,
            "n0tice",
            "sent",
            "dm",
            "998877",
            SEEN + timedelta(seconds=2),
            True,
            [Attempt(SEEN, "dm", "unknown", "no answer", None)],
        ),
        LedgerEntry(SEEN - timedelta(days=1), SEEN, "held", "thin", 7, "price", subject, 0.28, 0.30),
        LedgerEntry(SEEN - timedelta(days=2), SEEN, "held", "polls", 1, "price", subject, 0.28, 0.30),
        LedgerEntry(
            SEEN - timedelta(days=3),
            SEEN,
            "fired",
            None,
            1,
            "price",
            subject,
            0.28,
            0.30,
            "older",
            "failed",
            attempts=[Attempt(SEEN, "dm", "refused", "DMs closed", None)],
        ),
    ]
    message = await sent(scene, item(view))
    shown = await scene.alice.click(message, label="Why?")
    assert shown.ephemeral
    text = texts(shown.response)
    assert "RTX 4090 · Vast.ai price **$0.29/h**: has fired; armed again at $0.31/h" in text
    assert "sent by direct message" in text and "message `998877`" in text
    assert "direct message: the answer was lost (no answer)" in text
    assert "may have come twice" in text
    assert "(7 readings, to <t:" in text and "Fewer than 10 GPUs" in text
    assert "It must be shown by 1 readings in a row." in text
    assert "could not be delivered: every channel failed" in text and "refused (DMs closed)" in text
    opened = await scene.alice.click(shown.response, label="Open the alert")
    assert "price below $0.30/h" in texts(opened.response)
    by_command = await scene.alice.slash(scene.channel, "alert why", alert=str(view.id))
    assert "`998877`" in texts(by_command.response)


async def test_why_of_one_that_did_nothing(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    shown = await scene.alice.slash(scene.channel, "alert why", alert=str(view.id))
    assert "Nothing has happened yet" in texts(shown.response)


@pytest.mark.parametrize("label", ["Pause", "Show chart", "Edit", "Why?"])
async def test_others_buttons_are_not_ones_own(scene: Scene, world: World, label: str) -> None:
    """A mention is read, and clicked, by everybody in the channel."""
    message = await sent(scene, item(await made(scene, world)))
    result = await scene.bob.click(message, label=label)
    assert result.ephemeral
    assert "That is not an alert of yours (any more)" in texts(result.response)
    assert world.alerts.rules[1].state == "active"


@pytest.mark.parametrize(
    "custom_id", ["alert1|explode|1|m", "alert1|why|zzzzzzzzzzzzz|m", "alert9|why", "alert1|pause|1|x"]
)
async def test_forged_controls(scene: Scene, world: World, custom_id: str) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="x", custom_id=custom_id))
    view.stop()
    await scene.env.bot.get_channel(scene.channel.id).send("x", view=view)
    result = await scene.alice.click(scene.channel.last_message, label="x")
    assert "This card is too old to answer" in texts(result.response)


async def test_several_alerts_open_one(scene: Scene, world: World) -> None:
    items = [item(await made(scene, world, level=level)) for level in (0.2, 0.25, 0.3)]
    message = await sent(scene, *items)
    (menu,) = selects(message)
    assert len(menu["options"]) == 3
    opened = await scene.alice.select(message, ["2"], custom_id=menu["custom_id"])
    assert opened.ephemeral
    assert "price below $0.25/h" in texts(opened.response)
    stranger = await scene.bob.select(message, ["2"], custom_id=menu["custom_id"])
    assert "That is not an alert of yours" in texts(stranger.response)


async def test_an_ended_alert_is_renewed(scene: Scene, world: World) -> None:
    view = await made(scene, world, expires_at=NOW + timedelta(hours=1))
    await world.alerts._put(view.owner.key, view.id, state="expired")
    notice = expired_message([ExpiredItem(rule_id=view.id, when=WHEN, kind="price", expired_at=NOW)], FACTS, T)
    await scene.env.bot.get_channel(scene.channel.id).send(embeds=list(notice.embeds), view=notice.view)
    renewed = await scene.alice.click(scene.channel.last_message, label="Renew for 90 days")
    assert "Renewed: it runs until <t:" in texts(renewed.response)
    assert world.alerts.rules[1].state == "active"
    assert world.alerts.rules[1].rule.manners.expires_at == NOW + timedelta(days=90)


async def test_resume_renews_what_has_ended(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    await world.alerts._put(view.owner.key, view.id, state="done")
    result = await scene.alice.slash(scene.channel, "alert resume", alert=str(view.id))
    assert "Renewed: it runs until" in texts(result.response)


# --- servers ---


async def propose_server(scene: Scene, admin: Any, **options: Any) -> Any:
    given = {"when": "price-below", "gpu": "rtx-4090", "level": "0.30", **options}
    return await admin.slash(scene.channel, "server alerts", **given)


async def test_a_servers_alert(scene: Scene, world: World, admin: Any) -> None:
    role = scene.channel.guild.create_role("hosts", mentionable=True)
    services = scene.env.bot.services
    refused = await propose_server(scene, admin, role=role)
    assert f"<@&{role.id}> is not among the roles that I may mention here; add it with </server roles:" in texts(
        refused.response
    )
    await services.servers.change(scene.channel.guild.id, lambda settings: settings.changed(roles=(role.id,)))
    result = await propose_server(scene, admin, role=role, severity="warning")
    assert result.ephemeral
    assert f"**Told in** <#{scene.channel.id}>, mentioning <@&{role.id}>" in texts(result.response)
    done = await admin.click(result.response, label="Confirm")
    assert "Alert saved" in texts(done.response)
    (view,) = world.alerts.rules.values()
    assert view.owner == Owner(
        member_id=admin.id, server=True, guild_id=scene.channel.guild.id, channel_id=scene.channel.id, role_id=role.id
    )
    assert world.opt_in.asked == []


async def test_the_servers_list_and_its_panel(scene: Scene, world: World, admin: Any) -> None:
    empty = await admin.slash(scene.channel, "server alerts")
    assert "No alerts yet. Give </server alerts:" in texts(empty.response)
    view = await made(scene, world, server=True)
    shown = await admin.slash(scene.channel, "server alerts")
    assert f"<#{scene.channel.id}>" in texts(shown.response)
    opened = await admin.select(shown.response, [str(view.id)], custom_id=selects(shown.response)[0]["custom_id"])
    asked = await admin.click(opened.response, label="Remove")
    gone = await admin.click(asked.response, label="Remove")
    assert world.alerts.rules[view.id].state == "removed"
    await admin.click(gone.response, label="Undo")
    assert world.alerts.rules[view.id].state == "active"


async def test_only_admins_touch_a_servers_alert(scene: Scene, world: World) -> None:
    view = await made(scene, world, server=True)
    layout = discord.ui.View(timeout=None)
    guild = scene.channel.guild.id
    for action in (AlertAction.PAUSE, AlertAction.REMOVE, AlertAction.RESTORE):
        layout.add_item(discord.ui.Button(label=action.value, custom_id=pack(action, view.id, guild_id=guild)))
    layout.stop()
    await scene.env.bot.get_channel(scene.channel.id).send("x", view=layout)
    for action in (AlertAction.PAUSE, AlertAction.REMOVE, AlertAction.RESTORE):
        result = await scene.bob.click(scene.channel.last_message, label=action.value)
        assert "You need the permission “Manage Server”" in texts(result.response)
    assert world.alerts.rules[view.id].state == "active"


async def test_a_member_mutes_a_servers_alert_for_himself(scene: Scene, world: World, make_bot: Any) -> None:
    view = await made(scene, world, server=True)
    message = await sent(scene, item(view), guild_id=scene.channel.guild.id)
    assert list(buttons(message)) == ["Mute for me", "Show chart", "Why?"]
    await scene.env.restart_bot(make_bot())
    muted = await scene.bob.click(message, label="Mute for me")
    assert muted.ephemeral
    assert "**Muted for you.**" in texts(muted.response)
    assert "The channel's message stays" in texts(muted.response)
    assert world.alerts.mutes == {(scene.bob.id, view.id)}
    mine = await scene.bob.slash(scene.channel, "alert list")
    assert "🔕 Muted: RTX 4090" in texts(mine.response)
    ended = await scene.bob.click(mine.response, label="Unmute")
    assert "🔔 Unmuted." in texts(ended.response)
    assert world.alerts.mutes == set()


async def test_anybody_sees_why_and_the_chart_but_not_where_it_went(scene: Scene, world: World, admin: Any) -> None:
    view = await made(scene, world, server=True)
    world.alerts.ledger[view.id] = [
        LedgerEntry(SEEN, SEEN, "fired", None, 1, "price", None, 0.29, 0.30, "n1", "sent", "channel", "998877", SEEN)
    ]
    message = await sent(scene, item(view), guild_id=scene.channel.guild.id)
    why = await scene.bob.click(message, label="Why?")
    assert "**fired**" in texts(why.response)
    assert "998877" not in texts(why.response)
    assert buttons(why.response) == {}
    assert "998877" in texts((await admin.click(message, label="Why?")).response)
    chart = await scene.bob.click(message, label="Show chart")
    assert len(pictures(chart.response)) == 1
    assert buttons(chart.response) == {}


async def test_a_channel_that_i_may_not_post_in(scene: Scene, world: World, admin: Any) -> None:
    denied = {scene.env.bot.user: discord.PermissionOverwrite(send_messages=False)}
    closed = scene.channel.guild.create_text_channel("closed", overwrites=denied)
    result = await propose_server(scene, admin, channel=closed)
    assert "“Send Messages”" in texts(result.response)
    assert world.alerts.rules == {}


async def test_a_server_has_no_portfolio(scene: Scene, world: World, admin: Any) -> None:
    result = await admin.slash(scene.channel, "server alerts", when="fleet", level="8%")
    assert "A server has no portfolio, watchlist or digest of its own" in texts(result.response)


async def test_members_who_are_no_admins_are_refused(scene: Scene, world: World) -> None:
    server = scene.env.bot._command_ids["server"]
    guild = scene.channel.guild
    guild.set_command_permissions(server, {guild.default_role: True})
    result = await scene.bob.slash(scene.channel, "server alerts")
    assert "You need the permission “Manage Server”" in texts(result.response)
