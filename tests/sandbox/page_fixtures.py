"""Messages, commands and forms for the page's stand-in server: one of each kind."""

from __future__ import annotations

import struct
import time
import zlib
from typing import Any

Json = dict[str, Any]

_GPUS = ["RTX 4090", "RTX 4080", "RTX 4070 Ti", "RTX 3090", "RTX 5090", "A100 SXM4", "H100 SXM"]


def choices(text: str) -> list[Json]:
    """Autocomplete choices as a bot sends them: names to show, slugs to send."""
    wanted = text.lower().strip()
    return [{"name": name, "value": name.lower().replace(" ", "-")} for name in _GPUS if wanted in name.lower()]


def _option(kind: int, name: str, description: str, **fields: Any) -> Json:
    return {"type": kind, "name": name, "description": description} | fields


_GPU = _option(3, "gpu", "GPU model", required=True, autocomplete=True)
_RANGES = [{"name": n, "value": v} for n, v in (("1 day", "1d"), ("7 days", "7d"), ("30 days", "30d"))]
_PLATFORMS = [{"name": n, "value": v} for n, v in (("Vast.ai", "vast"), ("RunPod", "runpod"))]

COMMANDS: list[Json] = [
    {
        "id": "5001",
        "type": 1,
        "name": "price",
        "description": "Market price of a GPU",
        "options": [
            _GPU,
            _option(3, "platform", "Where", choices=_PLATFORMS),
            _option(3, "range", "Time span of the chart", choices=_RANGES),
        ],
    },
    {"id": "5002", "type": 1, "name": "market", "description": "Movers and utilization"},
    {"id": "5003", "type": 1, "name": "help", "description": "What this bot can do"},
    {"id": "5004", "type": 1, "name": "silent", "description": "A command that never answers"},
    {"id": "5005", "type": 1, "name": "refused", "description": "A command that the client refuses"},
    {
        "id": "5006",
        "type": 1,
        "name": "portfolio",
        "description": "Your GPUs",
        "options": [
            _option(1, "show", "Show what you own"),
            _option(
                1,
                "add",
                "Add GPUs",
                options=[
                    _GPU,
                    _option(4, "count", "How many", required=True, min_value=1, max_value=500),
                    _option(10, "cost", "USD each", min_value=0),
                    _option(5, "public", "Show to others"),
                ],
            ),
        ],
    },
    {"id": "5007", "type": 3, "name": "Explain this card"},
]


def _button(label: str, custom_id: str, style: int = 2, **fields: Any) -> Json:
    return {"type": 2, "style": style, "label": label, "custom_id": custom_id} | fields


_FIGURES = (
    "**Rented** 2 402 of 4 986 (48.2 %)  ·  p10 $0.26  ·  p90 $0.40\n"
    "**24 h** +1.2 %  ·  **7 d** −3.4 %  ·  **30 d** +0.8 %"
)


def price_card(gpu: str, span: str) -> list[Json]:
    """A Components V2 card with a chart, range buttons and a segment select."""
    read = f"<t:{int(time.time()) - 42}:R>"
    name = gpu.upper().replace("-", " ")
    chart = {"url": f"/cdn/attachments/1/1/chart-{gpu}-{span}.png", "width": 1600, "height": 900}
    ranges = [_button(s, f"range:{s}", 1 if s == span else 2) for s in ("1d", "7d", "30d", "90d")]
    segments = [
        {"label": "All verified machines", "value": "all", "default": True},
        {"label": "Datacenter, 8+ GPUs", "value": "dc8", "description": "41 of 96 GPUs rented"},
        {"label": "Unverified, 1–3 GPUs", "value": "home", "emoji": {"name": "🏠"}},
    ]
    return [
        {
            "type": 17,
            "accent_color": 0x58A6FF,
            "components": [
                {
                    "type": 9,
                    "components": [
                        {
                            "type": 10,
                            "content": f"## {name} on Vast.ai\n**$0.33 /h** median rented, host keeps **$0.25 /h**",
                        },
                    ],
                    "accessory": {"type": 2, "style": 5, "label": "Open", "url": "https://example.com/gpu"},
                },
                {"type": 10, "content": _FIGURES},
                {
                    "type": 12,
                    "items": [{"media": chart, "description": f"Price of {name} over {span}: from $0.31 to $0.33"}],
                },
                {"type": 14, "divider": True, "spacing": 1},
                {
                    "type": 1,
                    "components": [{"type": 3, "custom_id": "segment", "placeholder": "Segment", "options": segments}],
                },
                {"type": 1, "components": [*ranges, _button("Refresh", "range:7d-refresh", emoji={"name": "↻"})]},
                {
                    "type": 1,
                    "components": [
                        _button("Alert me", "alert", 3),
                        _button("Show data", "data"),
                        _button("Break", "break", 4),
                        _button("Soon", "soon", disabled=True),
                    ],
                },
                {
                    "type": 10,
                    "content": f"-# Data [500.farm](https://500.farm/vastai) via simulator · {read} · 4 986 GPUs",
                },
            ],
        },
    ]


def modal() -> Json:
    """A form with each field that a modal can hold."""
    return {
        "custom_id": "alert-form",
        "title": "Alert for RTX 4090",
        "components": [
            {"type": 10, "content": "You are told **once** when the price crosses the level."},
            {
                "type": 18,
                "label": "Level in USD per hour",
                "description": "Now $0.33",
                "component": {
                    "type": 4,
                    "custom_id": "level",
                    "style": 1,
                    "required": True,
                    "min_length": 3,
                    "max_length": 8,
                    "placeholder": "0.40",
                },
            },
            {
                "type": 18,
                "label": "Direction",
                "component": {
                    "type": 3,
                    "custom_id": "direction",
                    "options": [{"label": "Above", "value": "above"}, {"label": "Below", "value": "below"}],
                },
            },
            {
                "type": 18,
                "label": "Note",
                "component": {"type": 4, "custom_id": "note", "style": 2, "required": False, "max_length": 200},
            },
        ],
    }


MARKDOWN = """# Header one
## Header two
### Header three
-# Small print under a header
**bold** *italic* _also italic_ ***both*** __under__ ~~gone~~ `code` ||hidden||
> A quote with **bold**
> on two lines
- first
- second
  - nested
1. one
2. two
```python
price = 0.33  # **not bold**
```
<@1002> and <#3001> and </price:5001> and @everyone, <t:1764000000:F>, <t:1764000000:R>
[masked](https://example.com/a_(b)) and https://example.com/x?y=1, done. 2*3*4 = 24, snake_case_name"""

INJECTION = """<img src=x onerror="window.hacked=1"> <script>window.hacked=1</script>
[click](javascript:window.hacked=1) [data](data:text/html,x) <javascript:alert(1)>
[https://bank.example](https://evil.example)"""


def showcase(bot: Json, alice: Json, bob: Json) -> list[Json]:
    """Messages of the #showcase channel."""
    used = {"id": "7", "type": 2, "name": "price", "command_type": 1, "user": alice}
    embed = {
        "title": "RTX 4090 crossed $0.40",
        "url": "https://example.com",
        "color": 0x23A55A,
        "description": "The **median** rose in an hour.",
        "author": {"name": "Alert"},
        "fields": [
            {"name": "Now", "value": "$0.41", "inline": True},
            {"name": "Before", "value": "$0.38", "inline": True},
            {"name": "Rented", "value": "61 %", "inline": True},
            {"name": "Why", "value": "Your rule: above $0.40"},
        ],
        "image": {"url": "/cdn/attachments/1/1/embed.png", "width": 800, "height": 450},
        "footer": {"text": "simulator"},
        "timestamp": "2026-01-05T12:00:00+00:00",
    }
    hostile_embed = {
        "title": "<b>bold?</b>",
        "url": "javascript:window.hacked=1",
        "fields": [{"name": "<i>x</i>", "value": "<svg onload=window.hacked=1>"}],
        "image": {"url": "javascript:window.hacked=1"},
    }
    many = {
        "type": 3,
        "custom_id": "many",
        "placeholder": "Pick two or three",
        "min_values": 2,
        "max_values": 3,
        "options": [{"label": n, "value": n} for n in ("vast", "runpod", "lambda", "paperspace")],
    }
    return [
        {"author": alice, "type": 7},
        {"author": alice, "content": MARKDOWN},
        {"author": bob, "content": INJECTION},
        {"author": bot, "content": "<@1001> your alert", "embeds": [embed], "interaction_metadata": used},
        {
            "author": bot,
            "embeds": [hostile_embed],
            "components": [
                {
                    "type": 1,
                    "components": [{"type": 2, "style": 5, "label": "Bad link", "url": "javascript:window.hacked=1"}],
                }
            ],
        },
        {"author": bot, "content": "Choose:", "components": [{"type": 1, "components": [many]}]},
        {
            "author": bob,
            "content": "files",
            "attachments": [
                {
                    "id": "1",
                    "filename": "history.csv",
                    "size": 20480,
                    "url": "/cdn/attachments/1/1/history.csv",
                    "content_type": "text/csv",
                },
                {
                    "id": "2",
                    "filename": "chart.png",
                    "size": 9000,
                    "url": "/cdn/attachments/1/1/chart.png",
                    "content_type": "image/png",
                    "description": "A chart",
                },
            ],
        },
        {
            "author": bot,
            "flags": 32768,
            "components": price_card("rtx-4090", "7d"),
            "interaction_metadata": used,
            "edited_timestamp": "2026-01-05T12:00:00+00:00",
        },
        {"author": bot, "flags": 128, "interaction_metadata": used},
        {"author": alice, "content": "🎉"},
    ]


def chart_png(width: int = 800, height: int = 450, seed: int = 1) -> bytes:
    """A PNG of a line on a dark ground, without an imaging library."""
    rows = [bytearray(width) for _ in range(height)]
    value, state = height * 0.6, seed * 7919
    for y in range(60, height, 75):
        rows[y][40 : width - 40] = b"\x02" * (width - 80)
    for x in range(40, width - 40):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        value = min(height - 50, max(50, value + (state / 0x7FFFFFFF - 0.5) * 8))
        for y in range(int(value) - 2, int(value) + 2):
            rows[y][x] = 1
    raw = b"".join(b"\x00" + bytes(row) for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = bytes((30, 31, 34, 88, 166, 255, 60, 62, 68))
    parts = (chunk(b"IHDR", header), chunk(b"PLTE", palette), chunk(b"IDAT", zlib.compress(raw, 6)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")
