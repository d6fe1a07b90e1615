"""Our validator against jsonschema, and what the sandbox answers against Discord's document."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import discord
import jsonschema
import pytest

from sandbox.discord import make_subset, schema
from sandbox.discord.rest import API, Reply, RestApi
from sandbox.discord.validator import Compiler
from tests.sandbox.discord_bot import GPUS, Counter, card, staged

Json = dict[str, Any]

SUBSET: Json = json.loads(Path(schema.__file__).with_name("openapi_subset.json").read_text())
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
MESSAGES = "/channels/{channel_id}/messages"
#: What Discord takes although its document says otherwise: ids as integers, unions that overlap.
RELAXED: Json = {
    "SnowflakeType": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(0|[1-9][0-9]*)$"}]}
}


def judge(part: Json) -> jsonschema.Draft202012Validator:
    """jsonschema's validator of the same schema, with the same relaxations."""

    def relax(node: Any) -> Any:
        if isinstance(node, dict):
            return {("anyOf" if key == "oneOf" else key): relax(value) for key, value in node.items()}
        return [relax(item) for item in node] if isinstance(node, list) else node

    schemas = relax(SUBSET["components"]["schemas"]) | RELAXED
    return jsonschema.Draft202012Validator(relax(part) | {"components": {"schemas": schemas}})


def bodies() -> list[tuple[str, str, Json]]:
    """Real bodies of discord.py for the operations that matter."""
    view: Any = discord.ui.View()
    view.add_item(Counter(1))
    view.add_item(discord.ui.Select(custom_id="s", options=[discord.SelectOption(label=n) for n in GPUS]))
    embed = discord.Embed(title="t", description="d", colour=1, timestamp=discord.utils.utcnow())
    embed.add_field(name="n", value="v").set_image(url="attachment://a.png").set_footer(text="f")
    message = {"content": "x", "embeds": [embed.to_dict()], "components": view.to_components(), "flags": 64}
    layout = {"components": card().to_components(), "flags": 1 << 15, "attachments": [{"id": 0, "filename": "a.png"}]}  # type: ignore[no-untyped-call]
    label = discord.ui.Label[Any](text="l", component=discord.ui.TextInput(custom_id="i"))
    modal = {"custom_id": "m", "title": "t", "components": [label.to_component_dict()]}
    choices = {"choices": [{"name": n, "value": n} for n in GPUS]}
    return [
        ("post", MESSAGES, message),
        ("post", MESSAGES, layout),
        ("post", CALLBACK, {"type": 4, "data": message}),
        ("post", CALLBACK, {"type": 5, "data": {"flags": 64}}),
        ("post", CALLBACK, {"type": 7, "data": layout}),
        ("post", CALLBACK, {"type": 8, "data": choices}),
        ("post", CALLBACK, {"type": 9, "data": modal}),
        ("post", "/users/@me/channels", {"recipient_id": 5}),
    ]


def spots(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything inside a body."""
    found = [path] if path else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += spots(value, (*path, key))
    return found


def mutated(body: Json, dice: random.Random) -> Json:
    """The body with one thing in it replaced or removed."""
    result = copy.deepcopy(body)
    *way, last = dice.choice(spots(result))
    node: Any = result
    for key in way:
        node = node[key]
    if dice.random() < 0.2:
        del node[last]
    else:
        values: list[Any] = [None, True, -1, 0, 1.5, 1 << 40, "", "x", "x" * 5000, [], {}, ["x"] * 50, {"type": 99}]
        node[last] = dice.choice(values)
    return result


@pytest.mark.parametrize("index", range(8))
def test_same_verdict_as_jsonschema(index: int) -> None:
    method, path, body = bodies()[index]
    other = judge(SUBSET["paths"][path][method]["request"])
    assert schema.problems_of(method, path, body) == []
    assert other.is_valid(body)
    dice = random.Random(index)
    refused = 0
    for _ in range(150):
        changed = mutated(body, dice)
        ours, theirs = schema.problems_of(method, path, changed), other.is_valid(changed)
        if not theirs:
            refused += 1
            assert ours, changed
        else:
            # Ours also checks formats and takes a union by its type, as Discord does.
            strict = {"URL_TYPE_INVALID_URL", "URL_TYPE_INVALID_SCHEME", "DATE_TIME_TYPE_PARSE", "UNION_TYPE_CHOICES"}
            assert {problem.code for problem in ours} <= strict, (changed, ours)
    assert refused > 5


def test_errors_name_the_field_as_discord_does() -> None:
    body = {"type": 4, "data": {"embeds": [{"title": "x" * 257}], "components": [{"type": 1, "components": [{}]}]}}
    tree = schema.error_tree(schema.problems_of("post", CALLBACK, body))
    title = tree["data"]["embeds"]["0"]["title"]["_errors"]
    assert title == [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 256 or fewer in length."}]
    assert tree["data"]["components"]["0"]["components"]["0"]["type"]["_errors"][0]["code"] == "UNION_TYPE_CHOICES"


def test_it_is_quick_and_compiles_once() -> None:
    body = {"type": 4, "data": bodies()[0][2]}
    schema.problems_of("post", CALLBACK, body)
    assert schema.checker("post", CALLBACK) is schema.checker("post", CALLBACK)
    started = time.process_time()  # what other processes take away is not the check's doing
    for _ in range(100):
        schema.problems_of("post", CALLBACK, body)
    assert (time.process_time() - started) / 100 < 0.002


def test_schemas_may_refer_to_themselves_and_must_exist() -> None:
    tree: Json = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Tree"}}, "required": ["v"]}
    check = Compiler({"Tree": tree}).compile({"$ref": "#/components/schemas/Tree"})
    problems: list[Any] = []
    check({"v": 1, "next": {"v": 2, "next": {}}}, (), problems)
    assert [problem.path for problem in problems] == [("next", "next", "v")]
    with pytest.raises(ValueError, match="Missing"):
        Compiler({}).compile({"$ref": "#/components/schemas/Missing"})


def test_the_subset_is_what_the_script_makes(tmp_path: Path) -> None:
    shared = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    document = shared / "contracts" / "discord_openapi.json"
    if not document.is_file():
        pytest.skip(f"Discord's whole document is not at {document}")
    target = tmp_path / "subset.json"
    assert make_subset.main([str(document), str(target)]) == 0
    assert json.loads(target.read_text()) == SUBSET
    assert make_subset.main([]) == 2


async def test_answers_are_as_discord_describes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 200 of a busy session, judged by jsonschema against the document's response schemas."""
    answers: list[tuple[str, str, Any]] = []
    serve = RestApi._serve

    async def recording(self: RestApi, request: Any, record: Any, *rest: Any) -> Reply:
        reply = await serve(self, request, record, *rest)
        path = record.route
        if request.match_info.get("message_id") == "@original":
            path = path.replace("{message_id}", "@original")
        if reply.status == 200 and reply.data is not None:
            answers.append((record.method.lower(), path, json.loads(json.dumps(reply.data))))
        return reply

    monkeypatch.setattr(RestApi, "_serve", recording)
    async with staged(rate_limits=False) as stage:
        assert API in stage.sandbox.api_url
        await stage.bot.tree.fetch_commands()
        message = await stage.ann.run(stage.channel, "price", {"gpu": "h100"})
        await stage.ann.click(message, "n=1")
        await stage.ann.changed(message)
        for what in ("follow", "with response", "many follow ups"):
            await stage.ann.run(stage.channel, "stunt", {"what": what})
        await stage.ann.wait_for_message(lambda m: m["content"] == "6")
        await stage.ann.run(stage.channel, "quick")
        menu = await stage.ann.context_menu(stage.channel, "Who is this", stage.bob.user_id)
        await stage.ann.answer(menu)
        number = await stage.ann.slash(stage.channel, "portfolio", {"gpu": "x"}, subcommand="add")
        await stage.ann.form(number)
        await stage.ann.answer(await stage.ann.submit_modal(number, {"note": "note", "gpu": "H100"}))
        channel = stage.bot.get_partial_messageable(stage.channel)
        sent = await channel.send(embed=discord.Embed(title="t").add_field(name="n", value="v"))
        await sent.edit(view=discord.ui.View())
        await (await stage.bot.fetch_user(int(stage.ann.user_id))).send("hi")
        await stage.bot.fetch_channel(stage.channel)
        await stage.bot.application_info()
        await stage.bot.fetch_application_emojis()
        assert not stage.bot.errors
    judged = set()
    for method, path, data in answers:
        described = SUBSET["paths"].get(path, {}).get(method, {}).get("response")
        if described is not None:
            judged.add((method, path))
            problems = [f"{e.json_path}: {e.message[:200]}" for e in judge(described).iter_errors(data)]
            assert problems == [], (method, path, data)
    assert len(judged) >= 9, judged
