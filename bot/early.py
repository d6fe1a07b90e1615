"""Signals that come while the program is still being imported.

Python turns Ctrl-C into an exception wherever it is. Within an import that may be a callback whose exceptions are only
printed: then the signal is lost, and the program runs on as if nobody had asked it to end. So a command that sets its
own handlers later remembers the signal until then.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class EarlySignals:
    """Remembers a signal; the second one ends the program as usual."""

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def hold(self) -> None:
        """Begin to remember. Only in the main thread."""
        for name in SIGNALS:
            self._before[name] = signal.signal(name, self._on_signal)

    def release(self) -> None:
        """Let signals act as usual again, also the one that is remembered.

        Raises:
            KeyboardInterrupt: one came meanwhile.
        """
        for name, handler in self._before.items():
            if signal.getsignal(name) == self._on_signal:
                signal.signal(name, handler)
        self._before.clear()
        if self.seen:
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True


EARLY: Final = EarlySignals()
"""Of this process."""
