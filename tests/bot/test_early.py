"""A signal that comes while the program is imported is not lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from bot.early import SIGNALS, EarlySignals


@pytest.fixture
def early() -> Iterator[EarlySignals]:
    before = {name: signal.getsignal(name) for name in SIGNALS}
    found = EarlySignals()
    found.hold()
    yield found
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize("name", SIGNALS)
def test_the_first_one_is_remembered_and_acts_when_it_is_let(early: EarlySignals, name: signal.Signals) -> None:
    assert not early.seen
    os.kill(os.getpid(), name)
    assert early.seen
    with pytest.raises(KeyboardInterrupt):
        early.release()
    assert signal.getsignal(name) != early._on_signal


def test_the_second_one_ends_at_once(early: EarlySignals) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_without_any_all_is_as_before() -> None:
    before = {name: signal.getsignal(name) for name in SIGNALS}
    early = EarlySignals()
    early.hold()
    assert all(signal.getsignal(name) == early._on_signal for name in SIGNALS)
    early.release()
    assert {name: signal.getsignal(name) for name in SIGNALS} == before
