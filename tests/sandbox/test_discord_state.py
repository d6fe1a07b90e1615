"""A sandbox that goes on with its earlier state."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from sandbox.discord import Actor, SandboxDiscord, store
from sandbox.discord.models import StoredFile
from sandbox.discord.state import MAX_MESSAGES, World
from tests.sandbox.discord_bot import PNG, Bot, card, command_tree, picture, running, until


async def session(path: Path, act: Any) -> SandboxDiscord:
    """One life of a demo: the same world asked for again, a bot, and something that happens."""
    sandbox = SandboxDiscord(state_path=path)
    ann = sandbox.add_user("ann")
    guild = sandbox.add_guild("Hosts", members=[ann.id], channels=["market"])
    await sandbox.start()
    try:
        bot = Bot()
        command_tree(bot)
        async with running(bot, sandbox), Actor(sandbox.page_url, ann.id) as actor:
            await act(sandbox, bot, actor, guild.channel_ids[0])
    finally:
        await sandbox.stop()
    return sandbox


async def test_messages_files_and_commands_survive(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "discord.json"
    seen: dict[str, Any] = {}

    async def first(sandbox: SandboxDiscord, bot: Bot, ann: Actor, channel: int) -> None:
        await bot.tree.sync()
        seen["message"] = await ann.run(channel, "price", {"gpu": "h100"})
        await ann.run(channel, "price", {"gpu": "h100", "secret": True})
        await ann.slash(channel, "silent")
        await (await bot.fetch_user(int(ann.user_id))).send("in private")
        seen["bot"] = bot.application_id
        assert not sandbox.restored

    async def second(sandbox: SandboxDiscord, bot: Bot, ann: Actor, channel: int) -> None:
        assert sandbox.restored
        assert bot.application_id == seen["bot"]
        messages = await ann.messages(channel)
        assert [m["id"] for m in messages] == [seen["message"]["id"]], "ephemeral ones are gone"
        assert messages[0] == seen["message"]
        media = messages[0]["components"][0]["components"][1]["items"][0]["media"]
        assert await ann.file(media["url"]) == PNG
        state = await ann.state()
        assert len(state["dms"]) == len(state["guilds"]) == 1
        assert len(state["users"]) == 3  # owner, ann, bot: nobody twice
        assert "price" in [c["name"] for c in await ann.commands(channel)]
        await ann.click(messages[0], "n=1")
        changed = await ann.changed(messages[0])
        assert changed["id"] == seen["message"]["id"]
        newer = await ann.run(channel, "quick")
        assert int(newer["id"]) > int(changed["id"])

    await session(path, first)
    assert len(list(path.with_suffix(".files").iterdir())) == 1
    await session(path, second)
    assert len(list(path.with_suffix(".files").iterdir())) == 2


async def test_replaced_files_leave_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "discord.json"

    async def act(sandbox: SandboxDiscord, bot: Bot, ann: Actor, channel: int) -> None:
        message = await bot.get_partial_messageable(channel).send(file=picture("one.png"))
        assert sandbox._store is not None
        await sandbox._store.save()
        old = message.attachments[0]
        await message.edit(attachments=[picture("two.png")])
        shown = (await ann.messages(channel))[0]["attachments"]
        assert [a["filename"] for a in shown] == ["two.png"]
        assert await old.read() == PNG, "a page that is still loading it gets it"
        await sandbox._store.save()

    await session(path, act)
    assert len(list(path.with_suffix(".files").iterdir())) == 1


async def test_saved_from_time_to_time(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(store, "INTERVAL_S", 0.05)
    path = tmp_path / "discord.json"
    sandbox = SandboxDiscord(state_path=path)
    ann = sandbox.add_user("ann")
    guild = sandbox.add_guild("Hosts", members=[ann.id])
    await sandbox.start()
    try:
        await until(path.is_file)
        channel = sandbox.world.channels[guild.channel_ids[0]]
        sandbox.messages.user_posts(channel, ann.id, "kill me now")
        await until(lambda: "kill me now" in path.read_text())
        before = path.stat().st_mtime_ns
        await asyncio.sleep(0.2)
        assert path.stat().st_mtime_ns == before, "nothing new, nothing written"
    finally:
        await sandbox.stop()


async def test_a_broken_file_is_moved_aside(tmp_path: Path) -> None:
    for number, text in enumerate(('{"version": 1', '{"version": 9}', "[]", '{"version": 1, "users": [{"x": 1}]}')):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        sandbox = SandboxDiscord(state_path=path)
        assert not sandbox.restored
        assert path.with_suffix(".broken").read_text() == text
        sandbox.add_user("ann")
        await sandbox.start()
        await sandbox.stop()
        assert json.loads(path.read_text())["users"][-1]["username"] == "ann"
        assert SandboxDiscord(state_path=path).restored


async def test_a_missing_attachment_is_not_found(tmp_path: Path) -> None:
    import aiohttp

    path = tmp_path / "discord.json"
    urls: list[str] = []

    async def act(sandbox: SandboxDiscord, bot: Bot, ann: Actor, channel: int) -> None:
        message = await bot.get_partial_messageable(channel).send(view=card(), file=picture())
        shown = (await ann.messages(channel))[-1]
        assert shown["id"] == str(message.id)
        urls.append(shown["attachments"][0]["url"])

    await session(path, act)
    for file in path.with_suffix(".files").iterdir():
        file.unlink()

    async def again(sandbox: SandboxDiscord, bot: Bot, ann: Actor, channel: int) -> None:
        try:
            await ann.file(urls[0])
        except aiohttp.ClientResponseError as exc:
            assert exc.status == 404
        else:
            raise AssertionError("the file is gone")

    await session(path, again)


def test_ids_grow_and_old_messages_are_forgotten() -> None:
    world = World("bot")
    numbers = [world.next_id() for _ in range(2000)]
    assert numbers == sorted(set(numbers))
    aged = [world.next_id(age_ms=5000) for _ in range(10)]
    assert len(set(aged)) == 10
    assert all(number < numbers[0] for number in aged)
    assert world.next_id() > numbers[-1]
    world.clock_skew_s = -3600
    back = world.next_id()
    assert back < numbers[0]
    assert back not in numbers

    guild = world.add_guild("g", world.bot.id)
    channel = world.add_channel(guild, "c")
    from sandbox.discord.events import Bus
    from sandbox.discord.messages import Messages
    from sandbox.discord.sessions import Sessions

    messages = Messages(world, Bus(), Sessions())
    for number in range(MAX_MESSAGES + 5):
        messages.user_posts(channel, world.bot.id, str(number))
    kept = [message.data["content"] for message in world.bucket(channel.id).values()]
    assert (len(kept), kept[0]) == (MAX_MESSAGES, "5")


def test_a_file_without_bytes_says_so() -> None:
    stored = StoredFile({"filename": "a"}, "image/png")
    try:
        stored.read()
    except FileNotFoundError:
        return
    raise AssertionError("there is nothing to read")
