"""Escaping and limits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.cards.kit import code_safe, fit, link, pad, plain


@given(st.text(max_size=300))
def test_plain_text_has_no_line_break_and_no_mention(text: str) -> None:
    safe = plain(text)
    assert "\n" not in safe
    assert "@everyone" not in safe
    assert "@here" not in safe
    assert "://" not in safe
    assert not re.search(r"(?<!\\)(?:\\\\)*[<\[*_`~|]", safe)


@pytest.mark.parametrize(
    "text",
    [
        "**b**",
        "__u__",
        "~~s~~",
        "`c`",
        "||s||",
        "# h",
        "> q",
        "[a](https://evil.example)",
        "<@123456789012345678>",
        "[a](b)[c](d)",
        "\\\\*x*",
    ],
)
def test_markup_is_shown_as_written(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", plain(text)).replace("\u200b", "") == text


def test_link_needs_a_plain_address() -> None:
    assert link("500.farm", "https://500.farm") == "[500.farm](<https://500.farm>)"
    for bad in (None, "javascript:alert(1)", "https://x/)[y](z", "https://x y", "ftp://x"):
        assert link("name", bad) == "name"
    assert link("[x](y)", "https://500.farm").startswith("[\\[")


def test_code_cannot_leave_its_block() -> None:
    assert "`" not in code_safe("```\n# out")


def test_table_is_aligned() -> None:
    assert pad([["a", "1"], ["bbb", "22"]]) == ["a     1", "bbb  22"]


@given(st.lists(st.text(alphabet="ab ", max_size=30), max_size=40), st.integers(10, 200))
def test_fit_keeps_whole_lines(lines: list[str], limit: int) -> None:
    text = fit(lines, limit)
    assert len(text) <= limit
    kept = text.split("\n")
    if kept[-1:] == ["…"] and "\n".join(lines) != text:
        kept = kept[:-1]
    assert kept == (lines[: len(kept)] or [""])[: len(kept)] or not lines
