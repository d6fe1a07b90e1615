"""The one-shot commands as an operator runs them: output, exit codes, one-line errors, no secrets."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.e2e.harness import ROOT, TOKEN, Product, World, bare_environment, code_of, command

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("e2e-cli")]

ADMINISTRATOR = 1 << 3


def text(product: Product) -> str:
    return "\n".join(product.output)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(world: World, folder: Path) -> dict[str, str]:
    return world.environment(folder)


async def test_version(folder: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    done = await command(bare_environment(folder), folder, "--version")
    assert (code_of(done), done.output) == (0, [f"gpuscout {version}"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fly"], "No such command 'fly'"),
        (["run", "--roles", "bot,cook"], "--roles takes bot, ingest, worker, web; not cook"),
        (["ingest", "--source", "elsewhere"], "there is no source 'elsewhere'"),
        (["dead-letters", "show", "first"], "Invalid value for 'job'"),
        (["commands", "sync"], "DISCORD_TOKEN is not set"),
        (["db", "downgrade", "--sideways"], "No such option"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
async def test_wrong_use(folder: Path, arguments: list[str], reason: str) -> None:
    done = await command(bare_environment(folder), folder, *arguments)
    assert code_of(done) == 2
    [line] = done.lines
    assert line.startswith("gpuscout: ")
    assert reason in line
    assert done.output == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("INGEST_INTERVAL_SECONDS", "often", "INGEST_INTERVAL_SECONDS: "),
        ("FARM_URL", "ftp://500.farm", "FARM_URL: must start with http://"),
        ("SHARD_IDS", "0,1", "SHARD_IDS needs SHARD_COUNT"),
        ("WEB_PORT", "99999", "WEB_PORT: "),
        ("DATABASE_URL", "mysql://somebody:pass-word-1@host/db", "DATABASE_URL: must begin with"),
    ],
)
async def test_wrong_settings(folder: Path, name: str, value: str, reason: str) -> None:
    done = await command(bare_environment(folder) | {name: value}, folder, "run")
    assert code_of(done) == 2, done.lines
    [line] = done.lines
    assert line.startswith("gpuscout: ")
    assert reason in line
    assert "pass-word-1" not in line


async def test_ingest(world: World, environment: dict[str, str], folder: Path) -> None:
    world.farm.set_mode("ok")
    first = await command(environment, folder, "ingest")
    assert code_of(first) == 0, first.lines
    found = re.search(r"500\.farm: read (\d+), rejected 0, stored (\d+), \d+\.\d\d s", text(first))
    assert found is not None, text(first)
    with sqlite3.connect(folder / "gpuscout.db") as db:
        stored = db.execute("SELECT count(*) FROM quote").fetchone()[0]
        read = db.execute("SELECT sum(read) FROM market_update").fetchone()[0]
    db.close()
    assert (int(found.group(1)), int(found.group(2))) == (read, stored)
    assert "unknown GPU names: " in text(first)

    world.farm.set_mode("bad_items")
    bad = await command(environment, folder, "ingest", "--source", "500.farm")
    assert code_of(bad) == 0
    count = int(re.search(r"rejected (\d+)", text(bad)).group(1))  # type: ignore[union-attr]
    reasons = [int(n) for n in re.findall(r"^  rejected (\d+) x .+", text(bad), re.MULTILINE)]
    assert count == sum(reasons) > 10

    world.farm.set_mode("wrong_shape")
    sick = await command(environment, folder, "ingest")
    assert code_of(sick) == 1
    problems = [line for line in sick.lines if line.startswith("  problem: ")]
    assert len(problems) == 2
    assert all("unexpected answer" in line for line in problems)

    world.farm.set_mode("frozen")
    same = await command(environment, folder, "ingest")
    assert "stored 0" in text(same)
    world.farm.set_mode("ok")


async def test_doctor(world: World, environment: dict[str, str], folder: Path) -> None:
    done = await command(environment, folder, "doctor")
    assert code_of(done) == 0, text(done)
    for name in ("database", "redis", "secret key", "roles", "market source", "discord"):
        assert [line for line in done.output if re.match(rf" *(ok|off|warn) +{name} ", line)], name
    link = re.search(r"https://discord\.com/oauth2/authorize\S+", text(done))
    assert link is not None
    query = parse_qs(urlsplit(link.group()).query)
    permissions = int(query["permissions"][0])
    assert not permissions & ADMINISTRATOR
    assert permissions.bit_count() <= 6
    assert query["client_id"] == [str(world.discord.world.bot.id)]
    assert query["scope"] == ["bot applications.commands"]
    assert TOKEN not in text(done) + "\n".join(done.lines)


async def test_doctor_finds_what_fails(world: World, environment: dict[str, str], folder: Path) -> None:
    world.farm.set_mode("status:403")
    wrong = TOKEN.replace("e2e", "bad")
    broken = environment | {"DISCORD_TOKEN": wrong, "REDIS_URL": "redis://:pass-word-2@127.0.0.1:9/0"}
    done = await command(broken, folder, "doctor")
    world.farm.set_mode("ok")
    assert code_of(done) == 1
    failed = [line for line in done.output if line.lstrip().startswith("FAIL")]
    assert [name for name in ("redis", "market source", "discord") if any(name in line for line in failed)] == [
        "redis",
        "market source",
        "discord",
    ]
    assert not {"pass-word-2", wrong} & set(re.split(r"[\s:@/]", text(done) + "\n".join(done.lines)))
    assert "Traceback" not in "\n".join(done.lines)


async def test_migrations(tmp_path: Path) -> None:
    environment = bare_environment(tmp_path)
    empty = await command(environment, tmp_path, "db", "current")
    assert (code_of(empty), text(empty)) == (0, "empty (run: gpuscout db upgrade)")
    up = await command(environment, tmp_path, "db", "upgrade")
    assert code_of(up) == 0, up.lines
    revision = up.output[-1]
    assert (await command(environment, tmp_path, "db", "current")).output == [revision]
    again = await command(environment, tmp_path, "db", "upgrade")
    assert (code_of(again), again.output[-1]) == (0, revision)
    down = await command(environment, tmp_path, "db", "downgrade", "base")
    assert (code_of(down), down.output[-1]) == (0, "empty (run: gpuscout db upgrade)")
    wrong = await command(environment, tmp_path, "db", "upgrade", "nowhere")
    assert code_of(wrong) == 1
    [line] = wrong.lines
    assert "nowhere" in line


async def test_commands_sync(world: World, environment: dict[str, str], folder: Path) -> None:
    first = await command(environment, folder, "commands", "sync")
    assert code_of(first) == 0, first.lines
    assert re.fullmatch(r"\d+ commands registered", first.output[-1])
    second = await command(environment, folder, "commands", "sync")
    assert second.output[-1].endswith("commands unchanged")
    forced = await command(environment, folder, "commands", "sync", "--force")
    assert forced.output[-1] == first.output[-1]
    assert len([record for record in world.discord.requests if record.method == "PUT"]) == 2


async def test_dead_letters(environment: dict[str, str], folder: Path) -> None:
    none = await command(environment, folder, "dead-letters", "list")
    assert (code_of(none), none.output) == (0, ["no dead letters"])
    with sqlite3.connect(folder / "gpuscout.db") as db:
        for number in (1, 2):
            db.execute(
                "INSERT INTO job (kind, payload, state, run_at, attempts, max_attempts, created_at, finished_at,"
                " last_error) VALUES (?, ?, 'dead', ?, 8, 8, ?, ?, ?)",
                (
                    "delivery.dm",
                    json.dumps({"user_id": number, "authorization": f"Bot {TOKEN}"}),
                    *["2026-01-02 03:04:05.000000"] * 3,
                    "Discord answered 403 (code 50007)",
                ),
            )
        first, second = [row[0] for row in db.execute("SELECT id FROM job WHERE state = 'dead' ORDER BY id")]
    db.close()

    listed = await command(environment, folder, "dead-letters", "list")
    assert code_of(listed) == 0
    assert [line.split()[0] for line in listed.output] == [str(second), str(first)]
    assert "after 8 tries: Discord answered 403 (code 50007)" in listed.output[0]

    shown = await command(environment, folder, "dead-letters", "show", str(first))
    assert code_of(shown) == 0
    fields = json.loads(text(shown))
    assert (fields["kind"], fields["payload"]["user_id"]) == ("delivery.dm", 1)
    assert TOKEN not in text(shown)

    missing = await command(environment, folder, "dead-letters", "show", "4711")
    assert (code_of(missing), missing.lines) == (1, ["gpuscout: there is no job 4711"])

    retried = await command(environment, folder, "dead-letters", "retry", str(first))
    assert (code_of(retried), text(retried)) == (0, f"{first} queued again")
    discarded = await command(environment, folder, "dead-letters", "discard", str(second), str(first))
    assert code_of(discarded) == 1, "the first is no dead letter any more"
    assert f"{second} discarded" in text(discarded)
    assert f"{first} is not a dead letter" in " ".join(discarded.lines)
    with sqlite3.connect(folder / "gpuscout.db") as db:
        states = db.execute("SELECT state FROM job WHERE id IN (?, ?) ORDER BY id", (first, second)).fetchall()
    db.close()
    assert states == [("ready",), ("discarded",)]


async def test_an_error_is_one_line_and_debug_tells_more(tmp_path: Path) -> None:
    (tmp_path / "gpuscout.db").write_bytes(b"this is no database, whatever its name says" * 100)
    plain = await command(bare_environment(tmp_path), tmp_path, "dead-letters", "list")
    assert code_of(plain) == 1
    [line] = plain.lines
    assert line.startswith("gpuscout: ")
    assert "(use --debug for the traceback)" in line
    told = await command(bare_environment(tmp_path), tmp_path, "--debug", "dead-letters", "list")
    assert code_of(told) == 1
    assert "Traceback (most recent call last)" in "\n".join(told.lines)
