"""Names of GPUs in what people write."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import GpuCatalogue
from config.gpu_text import NamesInText

CATALOGUE = GpuCatalogue.load()
NAMES = NamesInText(CATALOGUE)


def slugs(text: str, limit: int = 6) -> list[str]:
    return [model.slug for model in NAMES.find(text, limit)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Should I sell my RTX 4090 and buy a 5090?", ["rtx-4090", "rtx-5090"]),
        ("two 3090s, four RTX 4070 Ti SUPERs maybe", ["rtx-3090", "rtx-4070-ti-super"]),
        ("RTX 4070 Ti SUPER beats the RTX 4070 Ti and the 4070", ["rtx-4070-ti-super", "rtx-4070-ti", "rtx-4070"]),
        ("8xH100 node or 4x 4090, or 3090x4?", ["h100", "rtx-4090", "rtx-3090"]),
        ("rtx4090/rtx_3090, NVIDIA GeForce RTX 3060!", ["rtx-4090", "rtx-3090", "rtx-3060"]),
        ("A100 80GB vs. A100-SXM4-40GB", ["a100-80gb", "a100-sxm4-40gb"]),
        ("a modded 4090 48GB", ["rtx-4090-48gb"]),
        ("L40S and l40s and L40", ["l40s", "l40"]),
        ("Titan V", ["titan-v"]),
        ("4070s are fine, 4070S are better", ["rtx-4070", "rtx-4070-super"]),
        ("**RTX 4090**, `RTX 5090`; (RTX 3080)", ["rtx-4090", "rtx-5090", "rtx-3080"]),
        ("an RTX\n4090 over two lines is no name, but\n4090 is", ["rtx-4090"]),
    ],
)
def test_names(text: str, found: list[str]) -> None:
    assert slugs(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing here",
        "I paid $3090 for it, or 3,090 or €4090",
        "it draws 1050 W, costs 2080 USD and 1080 dollars",
        "1080p at 3060 MHz, 2060 hours, 3070% more, 1650.50",
        "a 40 dollar card, a 100 times",
        "10 80 and 40 90",
        "<@4090> <:rtx4090:5090> <#3090> <t:4090:R>",
        "https://example.com/rtx-4090/5090",
        "rtx gtx titan tesla quadro nvidia",
        "x" * 20_000,
    ],
)
def test_no_names(text: str) -> None:
    assert slugs(text) == []


def test_each_once_and_at_most_so_many() -> None:
    assert slugs("4090 RTX 4090 rtx-4090 geforce 4090") == ["rtx-4090"]
    assert slugs("3060 3070 3080 3090 4070 4080 4090", 3) == ["rtx-3060", "rtx-3070", "rtx-3080"]


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.slug)
def test_every_name_of_the_catalogue_is_found_in_a_sentence(model: object) -> None:
    name = model.name  # type: ignore[attr-defined]
    expected = CATALOGUE.resolve(name).slug
    assert expected in slugs(f"What does the {name} rent for, please?")


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    found = NAMES.find(text)
    assert len(found) <= 6
    assert len({model.slug for model in found}) == len(found)


@pytest.mark.parametrize("text", ["rtx 4090 " * 2000, "rtx " * 4000, "4090 a100 h100 rtx pro 6000 " * 500])
def test_a_hostile_text_is_read_quickly(text: str) -> None:
    started = time.process_time()
    NAMES.find(text, 1000)
    assert time.process_time() - started < 0.5
