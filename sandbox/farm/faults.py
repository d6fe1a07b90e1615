"""What can go wrong with the exporter, switched on by name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.farm.documents import Document, Version, render

_MODES = "ok|down|slow|frozen|malformed|half|wrong_shape|bad_items|hostile_names|status:[45][0-9][0-9]"
Shape = Literal["error", "list", "models_object", "empty"]


class Fault(BaseModel):
    """The state of the switch.

    * ``ok``;
    * ``down``: the connection is closed without an answer, or with ``how="503"`` that status;
    * ``slow``: answers come ``seconds`` late;
    * ``frozen``: what was served last is served on, its timestamp stands still;
    * ``malformed``: half of the JSON and two bytes that are not UTF-8, status 200;
    * ``half``: every other model is gone, the same ones in both documents;
    * ``wrong_shape``: valid JSON of another ``shape``;
    * ``bad_items``: :data:`BAD_V1` and :data:`BAD_V2` stand behind the good items;
    * ``hostile_names``: well-formed items whose names are :data:`HOSTILE_NAMES`;
    * ``status:502`` or any other error status, with ``Retry-After: retry_after`` when given.

    With ``times``, the switch goes back to ``ok`` after that many requests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str = Field("ok", pattern=f"^({_MODES})$")
    seconds: float = Field(5.0, ge=0, le=600)
    how: Literal["close", "503"] = "close"
    shape: Shape = "error"
    times: int | None = Field(None, ge=1)
    retry_after: int | None = Field(None, ge=0)

    @property
    def status(self) -> int | None:
        """The error status to answer with, if the mode is one."""
        if self.mode == "down" and self.how == "503":
            return 503
        return int(self.mode.removeprefix("status:")) if self.mode.startswith("status:") else None

    @property
    def changes_content(self) -> bool:
        """Whether the documents themselves differ from the good ones."""
        return self.mode in {"malformed", "half", "wrong_shape", "bad_items", "hostile_names"}


def _group(*stats: Any) -> Document:
    """A side of a version 1 item: the three verifications."""
    return dict(zip(("verified", "unverified", "all"), stats, strict=True))


_NONE = [{"count": 0}]
_ONE = [
    {
        "count": 1,
        "price_median": 0.5,
        "price_10th_percentile": 0.5,
        "price_90th_percentile": 0.5,
    }
]


def _v1(name: Any, stat: Any, **more: Any) -> Document:
    """A version 1 item whose only GPU is available, verified and described by ``stat``."""
    side, none = _group(stat, _NONE, stat), _group(_NONE, _NONE, _NONE)
    stats = {"rented": none, "available": side, "all": side}
    info = {"vram": 24, "dlperf": 10.5, "tflops": 20.5}
    return {"name": name, "stats": stats, "info": info, **more}


def _v2(name: Any, stat: Any, **more: Any) -> Document:
    stats = {"rented": _NONE, "available": stat, "all": stat}
    category = {"datacenter": False, "gpu_count_range": "1-3", "verified": True, "stats": stats}
    return {"name": name, "count": 1, "categories": [{**category, **more}]}


_ODD_STATS: dict[str, Any] = {
    "Bad negative count": [{"count": -4, "price_median": 0.5}],
    "Bad text count": [{"count": "many", "price_median": 0.5}],
    "Bad text price": [{"count": 2, "price_median": "cheap"}],
    "Bad negative price": [{"count": 2, "price_median": -0.5}],
    "Bad order": [
        {
            "count": 20,
            "price_median": 0.5,
            "price_10th_percentile": 0.9,
            "price_90th_percentile": 0.1,
        }
    ],
    "Bad empty": [],
}
#: Items that no reader may take, each wrong in one way.
BAD_V1: tuple[Any, ...] = (
    None,
    "RTX 4090",
    {"stats": _v1("", _ONE)["stats"]},
    _v1(None, _ONE),
    _v1("", _ONE),
    {"name": "Bad without stats"},
    _v1("Bad stats list", _ONE, stats=[]),
    *(_v1(name, stat) for name, stat in _ODD_STATS.items()),
)
BAD_V2: tuple[Any, ...] = (
    None,
    "RTX 4090",
    {"count": 1, "categories": _v2("", _ONE)["categories"]},
    _v2(None, _ONE),
    _v2("", _ONE),
    {"name": "Bad without categories", "count": 1},
    _v2("Bad range", _ONE, gpu_count_range="lots"),
    _v2("Bad verified", _ONE, verified="perhaps"),
    *(_v2(name, stat) for name, stat in _ODD_STATS.items()),
)
#: Names that must come out harmless wherever they are shown.
HOSTILE_NAMES: tuple[str, ...] = (
    "@everyone RTX 7777",
    "<@&123456789012345678> [free](https://example.com)",
    "<script>alert(1)</script>",
    "'; DROP TABLE quotes; --",
    "RTX\u202e0904 \u0000**bold**\n# heading",
    "../../etc/passwd",
    "RTX " + "9" * 3000,
)


def apply(fault: Fault, version: Version, document: Document) -> bytes:
    """The bytes to serve for a good document while the fault is on."""
    match fault.mode:
        case "malformed":
            good = render(document)
            return good[: len(good) // 2] + b"\xff\xfe"
        case "half":
            kept = set(sorted(model["name"] for model in document["models"])[1::2])
            return render(_with(document, [m for m in document["models"] if m["name"] in kept]))
        case "wrong_shape":
            return render(reshape(fault.shape, document, "models", "name"))
        case "bad_items":
            bad = BAD_V1 if version == "v1" else BAD_V2
            return render(_with(document, [*document["models"], *bad]))
        case "hostile_names":
            make = _v1 if version == "v1" else _v2
            return render(_with(document, [*document["models"], *(make(n, _ONE) for n in HOSTILE_NAMES)]))
        case _:
            return render(document)


def _with(document: Document, models: list[Any]) -> Document:
    return {**document, "models": models}


def reshape(shape: Shape, document: Document, items: str, name: str) -> object:
    """A document with another shape; ``items`` is the key of its list, ``name`` that of an item's name."""
    match shape:
        case "error":
            return {"error": "internal", "success": False}
        case "list":
            return document[items]
        case "models_object":
            return {**document, items: {str(item[name]): item for item in document[items]}}
        case "empty":
            return {}
