"""The web side: state and events for the page, its files, the CDN, and who is kept out."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord import Actor, Control, Refused, SandboxDiscord, media
from sandbox.discord.events import MAX_BACKLOG, Bus
from tests.sandbox.discord_bot import staged


async def test_state_for_the_page() -> None:
    sandbox = SandboxDiscord(
        badge="SIMULATED", notice="Not real.", welcome="Hello.", suggestions=["/price gpu:RTX 4090"]
    )
    ann, bob = sandbox.add_user("ann", global_name="Ann", locale="de"), sandbox.add_user("bob")
    guild = sandbox.add_guild("Hosts", members=[ann.id], channels=["market", "secret"])
    sandbox.setup.set_overwrites(
        guild.channel_ids[1], [{"id": str(guild.id), "type": 0, "allow": "0", "deny": str(1 << 10)}]
    )
    await sandbox.start()
    try:
        async with Actor(sandbox.page_url, ann.id) as actor, Actor(sandbox.page_url, bob.id) as other:
            state = await actor.state()
            assert (state["badge"], state["notice"], state["welcome"]) == ("SIMULATED", "Not real.", "Hello.")
            assert state["suggestions"] == ["/price gpu:RTX 4090"]
            assert (state["me"]["global_name"], state["me"]["locale"]) == ("Ann", "de")
            assert state["ready"] is False
            assert [c["name"] for c in state["guilds"][0]["channels"]] == ["market"]
            assert (await other.state())["guilds"] == []
            with pytest.raises(Refused):
                await actor.messages(guild.channel_ids[1])
            with pytest.raises(Refused, match="1 to 2000"):
                await actor.send(guild.channel_ids[0], " ")
            await actor.send(guild.channel_ids[0], "hello")
            seen = await actor.wait_for_message()
            assert seen["content"] == "hello"
            with pytest.raises(TimeoutError, match="nothing"):
                await other.wait_for_message(within=0.05)
        async with aiohttp.ClientSession() as session, session.get(f"{sandbox.page_url}/sandbox/state") as response:
            assert (await response.json())["me"]["username"] == "ann", "the first person when none is named"
    finally:
        await sandbox.stop()


async def test_commands_for_the_page() -> None:
    async with staged() as stage, aiohttp.ClientSession() as session:
        base = f"{stage.sandbox.page_url}/sandbox/commands?user={stage.ann.user_id}"
        async with session.get(f"{base}&guild_id={stage.guild.id}") as response:
            commands = {command["name"]: command for command in await response.json()}
        assert commands["price"]["options"][1] == {
            "type": 4,
            "name": "count",
            "description": "…",
            "name_localizations": None,
            "description_localizations": None,
            "required": False,
            "min_value": 1,
            "max_value": 8,
        }
        assert commands["price"]["options"][0]["autocomplete"] is True
        assert commands["Repeat"]["type"] == 3
        assert [o["name"] for o in commands["portfolio"]["options"]] == ["add", "show"]
        async with session.get(base) as response:
            assert "price" in {command["name"] for command in await response.json()}
        async with session.get(f"{base}&guild_id=5") as response:
            assert response.status == 400


async def test_default_member_permissions_hide_a_command() -> None:
    async with staged(sync=False) as stage:

        @stage.bot.tree.command(description="For managers", guild=discord.Object(stage.guild.id))
        @discord.app_commands.default_permissions(manage_guild=True)
        async def manage(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("done")

        await stage.bot.tree.sync(guild=discord.Object(stage.guild.id))
        assert await stage.ann.commands(stage.channel) == []
        owner = stage.guild.owner_id
        async with Actor(stage.sandbox.page_url, owner) as actor:
            assert [c["name"] for c in await actor.commands(stage.channel)] == ["manage"]
            assert (await actor.run(stage.channel, "manage"))["content"] == "done"
        assert [c.name for c in await stage.bot.tree.fetch_commands(guild=discord.Object(stage.guild.id))] == ["manage"]


async def test_commands_that_discord_refuses() -> None:
    async with staged(sync=False, rate_limits=False) as stage:
        app = stage.bot.application_id
        assert app is not None
        http = stage.bot.http
        option = {"type": 3, "name": "a", "description": "d"}
        good: dict[str, Any] = {"name": "good", "description": "d"}
        late = option | {"name": "b", "required": True}
        torn = option | {"autocomplete": True, "choices": [{"name": "c", "value": "c"}]}
        texts = [f"{n}" + "x" * 90 for n in range(25)]
        heavy = [
            option | {"name": f"o{n}", "choices": [{"name": text, "value": text} for text in texts]} for n in range(4)
        ]
        for bad in (
            {"name": "Upper", "description": "d"},
            {"name": "spa ce", "description": "d"},
            {"name": "nodescription"},
            {"name": "long", "description": "x" * 101},
            {"name": "order", "description": "d", "options": [option, late]},
            {"name": "twice", "description": "d", "options": [option, option]},
            {"name": "both", "description": "d", "options": [torn]},
            {"name": "mixed", "description": "d", "options": [option, {"type": 1, "name": "s", "description": "d"}]},
            {"name": "huge", "description": "d", "options": heavy},
        ):
            with pytest.raises(discord.HTTPException) as caught:
                await http.bulk_upsert_global_commands(app, [good, bad])
            assert caught.value.code == 50035, bad
        with pytest.raises(discord.HTTPException):
            await http.bulk_upsert_global_commands(app, [good, good])
        many = [good | {"name": f"c{n}"} for n in range(101)]
        with pytest.raises(discord.HTTPException) as caught:
            await http.bulk_upsert_global_commands(app, many)
        assert caught.value.code == 30032
        first = await http.bulk_upsert_global_commands(app, [good])
        second = await http.bulk_upsert_global_commands(app, [good | {"description": "new"}])
        assert first[0]["id"] == second[0]["id"], "a command of the same name keeps its id"
        number = int(second[0]["id"])
        edited = await http.edit_global_command(app, number, {"description": "newer"})
        assert edited["description"] == "newer"
        await http.delete_global_command(app, number)
        with pytest.raises(discord.NotFound) as gone:
            await http.delete_global_command(app, number)
        assert gone.value.code == 10063
        with pytest.raises(discord.Forbidden):
            await http.get_global_commands(app + 1)


async def test_page_files(tmp_path: Path) -> None:
    page = tmp_path / "page"
    (page / "js").mkdir(parents=True)
    (page / "index.html").write_text("<title>x</title>")
    (page / "js" / "app.js").write_text("1")
    (tmp_path / "secret.txt").write_text("no")
    sandbox = SandboxDiscord(page_dir=page)
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as session:
            for path, kind in (("/", "text/html"), ("/js/app.js", "text/javascript")):
                async with session.get(sandbox.page_url + path) as response:
                    assert (response.status, response.content_type) == (200, kind)
                    assert response.headers["Cache-Control"] == "no-store"
                    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
            for path in ("/missing.js", "/..%2fsecret.txt", "/js/..%2f..%2fsecret.txt", "/js"):
                async with session.get(sandbox.page_url + path) as response:
                    assert response.status == 404, path
            (page / "index.html").unlink()
            async with session.get(sandbox.page_url + "/") as response:
                assert "not installed" in await response.text()
    finally:
        await sandbox.stop()


async def test_foreign_pages_are_kept_out() -> None:
    sandbox = SandboxDiscord()
    ann = sandbox.add_user("ann")
    await sandbox.start()
    try:
        url = f"{sandbox.page_url}/sandbox/users/{ann.id}/dm"
        async with aiohttp.ClientSession() as session:
            for headers, data, status in (
                ({"Host": f"evil.example:{sandbox.port}"}, "{}", 421),
                ({"Origin": "http://evil.example"}, "{}", 403),
                ({"Origin": "null"}, "{}", 403),
                ({"Content-Type": "text/plain"}, "{}", 415),
                ({"Content-Type": "application/json"}, "{nonsense", 201),
                ({"Content-Type": "application/json", "Origin": sandbox.page_url}, "{}", 201),
            ):
                async with session.post(url, data=data, headers=headers) as response:
                    assert response.status == status, headers
            async with session.get(f"http://localhost:{sandbox.port}/sandbox/state") as response:
                assert response.status == 200
            with pytest.raises(aiohttp.WSServerHandshakeError):
                events = f"{sandbox.page_url}/sandbox/events?user={ann.id}"
                await session.ws_connect(events, headers={"Origin": "http://evil.example"})
    finally:
        await sandbox.stop()


@pytest.mark.parametrize("body", ["[]", "{", '{"channel_id": "x"}', '{"channel_id": 1}', '{"channel_id": {}}'])
async def test_nonsense_is_refused_in_one_sentence(body: str) -> None:
    sandbox = SandboxDiscord()
    ann = sandbox.add_user("ann")
    await sandbox.start()
    try:
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
            for what in ("slash", "autocomplete", "context_menu", "component", "modal", "messages"):
                async with session.post(f"{sandbox.page_url}/sandbox/users/{ann.id}/{what}", data=body) as response:
                    assert response.status == 400
                    assert (await response.json())["error"].endswith(".")
            async with session.post(f"{sandbox.page_url}/sandbox/users/7/dm") as response:
                assert response.status == 400
    finally:
        await sandbox.stop()


async def test_attachments_cannot_run_in_the_browser() -> None:
    async with staged(sync=False) as stage, aiohttp.ClientSession() as session:
        evil = discord.File(io.BytesIO(b"<script>1</script>"), "x y;.html")
        message = await stage.bot.get_partial_messageable(stage.channel).send(file=evil)
        async with session.get(message.attachments[0].url) as response:
            assert response.headers["Content-Disposition"] == 'attachment; filename="x_y_.html"'
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with session.get(f"{stage.sandbox.page_url}/cdn/attachments/1/2/x.png") as response:
            assert response.status == 404


async def test_control_over_http() -> None:
    async with staged() as stage, Control(stage.sandbox.page_url) as control:
        await control.wait_ready()
        user = await control.post("users", {"username": "cleo", "locale": "de", "installed": True})
        guild = await control.post("guilds", {"name": "New", "members": [user["id"]], "bot": False, "channels": ["a"]})
        channel = await control.post("channels", {"guild_id": guild["id"], "name": "b"})
        await control.post(f"guilds/{guild['id']}/add_bot", {"permissions": "8"})
        await control.post(f"guilds/{guild['id']}/members", {"user_id": stage.ann.user_id})
        async with Actor(stage.sandbox.page_url, user["id"]) as cleo:
            picker = await cleo.run(channel["id"], "pick")
            wrong: list[Any] = [[{}], [["H100"]], [5]]
            for values in wrong:
                with pytest.raises(Refused):
                    await cleo.select(picker, "picker", values)
            number = await cleo.slash(channel["id"], "quick")
            await cleo.answer(number)
        facts = await control.interaction(number)
        assert facts["state"] == "replied"
        assert 0 < facts["acked_ms"] < 3000
        assert stage.sandbox.interactions.by_id[int(number)].payload["locale"] == "de"
        requests = await control.requests()
        last = requests[-1]
        assert (last["method"], last["files"], last["schema_errors"]) == ("POST", ["chart.png"], [])
        assert last["body"]["data"]["embeds"][0]["title"] == "Quick"
        for path, body in (
            ("faults", {"unknown": 1}),
            ("faults", {"latency_ms": "soon"}),
            ("faults", {"status": {"times": 1}}),
            ("faults", {"close_dms": [5]}),
            ("users", {}),
            ("guilds", {"name": ""}),
            ("channels", {"guild_id": "5", "name": "x"}),
            ("guilds/5/add_bot", {}),
            ("guilds", {"name": "x", "members": ["y"]}),
            ("guilds", {"name": "x", "members": "y"}),
            ("guilds", {"name": "x", "owner_id": "5"}),
            ("guilds", {"name": "x", "permissions": "all"}),
            ("guilds", {"name": "x", "channels": [{}]}),
            ("users", {"username": "x", "locale": 5}),
            (f"guilds/{guild['id']}/members", {"user_id": user["id"], "roles": ["5"]}),
            (f"guilds/{guild['id']}/roles", {}),
        ):
            with pytest.raises(Refused):
                await control.post(path, body)


async def test_a_slow_listener_is_cut_off() -> None:
    bus = Bus()
    with bus.subscribe(1) as slow, bus.subscribe(2) as other:
        for number in range(MAX_BACKLOG + 10):
            bus.publish("X", {"n": number}, lambda uid: uid == 1)
        received = 0
        while await asyncio.wait_for(slow.next(), 30) is not None:
            received += 1
        assert received == MAX_BACKLOG
        bus.to_user(2, "Y", {})
        assert await other.next() == {"t": "Y", "d": {}}


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP", "WEBP lossless"])
def test_image_sizes(kind: str) -> None:
    image = pytest.importorskip("PIL.Image")
    for size in ((1, 1), (1600, 900), (33, 7)):
        buffer = io.BytesIO()
        name, *options = kind.split()
        image.new("RGB", size, "red").save(buffer, name, **({"lossless": True} if options else {}))
        assert media.image_size(buffer.getvalue()) == size
        assert media.image_size(buffer.getvalue()[:9]) is None
    assert media.image_size(b"") is None


async def test_port_in_use_is_an_error() -> None:
    sandbox, other = SandboxDiscord(), SandboxDiscord()
    port = await sandbox.start()
    try:
        with pytest.raises(OSError):
            await other.start(port=port)
        await other.stop()
    finally:
        await sandbox.stop()
