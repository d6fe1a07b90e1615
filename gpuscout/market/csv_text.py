"""Text in CSV that spreadsheets open as text."""

from __future__ import annotations

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """*text* so that no spreadsheet takes it for a formula: an apostrophe before what would begin one.

    Source: OWASP, "CSV Injection". Numbers of our own are written as they are and do not pass here.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
