"""Reading a large JSON object item by item, without ever holding it whole."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gpuscout.market.sources.base import WrongShape

PIECE = 256 * 1024
"""Bytes read at a time."""
MAX_ITEM = 1024 * 1024
"""Characters of one item, or of one other value of the object, beyond which the document is not believed."""

_BEHIND = " \t\n\r,]}"
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder(strict=False).raw_decode


class ObjectStream:
    """A JSON object of which one member is a long array.

    ``items()`` yields the array's elements as they are read; afterwards :attr:`members` holds the other members,
    whether they stood before or behind it.

    Args:
        read: returns up to so many bytes, none at the end.
        key: name of the long array.
    """

    def __init__(self, read: Callable[[int], bytes], key: str) -> None:
        self.members: dict[str, Any] = {}
        self._read = read
        self._key = key
        self._text = ""
        self._at = 0
        self._ended = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def items(self) -> Iterator[Any]:
        """The array's elements.

        Raises:
            WrongShape: not UTF-8, not JSON, cut short, not an object, or without such an array.
        """
        found = False
        if self._next() != "{":
            raise WrongShape("not a JSON object")
        self._at += 1
        if self._next() == "}":
            self._at += 1
        else:
            while True:
                name = self._value()
                if not isinstance(name, str):
                    raise WrongShape("not JSON")
                self._take(":")
                if name != self._key:
                    self.members[name[:80]] = self._value()
                elif found:
                    raise WrongShape(f"the list of {self._key} is there twice")
                else:
                    found = True
                    yield from self._array()
                if self._take(",}") == "}":
                    break
        if self._next():
            raise WrongShape("something follows the document")
        if not found:
            raise WrongShape(f"no list of {self._key}")

    def _array(self) -> Iterator[Any]:
        if self._next() != "[":
            raise WrongShape(f"no list of {self._key}")
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _next(self) -> str:
        """The next character that is no space, not taken; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _take(self, wanted: str) -> str:
        char = self._next()
        if not char:
            raise WrongShape("not JSON: it is cut short")
        if char not in wanted:
            raise WrongShape("not JSON")
        self._at += 1
        return char

    def _value(self) -> Any:
        """The next value, once what follows it is seen: a number may go on in the next piece."""
        while True:
            if not self._next():
                raise WrongShape("not JSON: it is cut short")
            try:
                value, end = _decode(self._text, self._at)
            except RecursionError:
                raise WrongShape("nested too deeply") from None
            except ValueError:
                # Not whole yet, or not JSON: more text will tell.
                if len(self._text) - self._at > MAX_ITEM:
                    raise WrongShape("not JSON") from None
                if not self._more():
                    raise WrongShape("not JSON") from None
                continue
            if end - self._at > MAX_ITEM:
                raise WrongShape("an item is too large")
            # A number may go on in the next piece: 0 may become 0.5.
            whole = end < len(self._text) and (not isinstance(value, int | float) or self._text[end] in _BEHIND)
            if not whole and len(self._text) - self._at > MAX_ITEM:
                raise WrongShape("not JSON")
            if whole or not self._more():
                self._at = end
                return value

    def _more(self) -> bool:
        """Read a piece; False at the end of the document."""
        if self._ended:
            return False
        data = self._read(PIECE)
        self._ended = not data
        try:
            text = self._utf8.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise WrongShape("not UTF-8") from None
        self._text = self._text[self._at :] + text
        self._at = 0
        return bool(text) or not self._ended
