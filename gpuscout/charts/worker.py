"""The process that draws: reads specs from standard input, writes images to standard output.

Frames are a length and a pickled :class:`ChartSpec` going in, a status byte, a length
and bytes coming out. Both ends are the same program on one machine, so pickle carries
nothing foreign. The process ends when its standard input does, also in the middle of
a chart, so it outlives no parent, however that one died.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import struct
import sys
import threading
import traceback
import warnings
from enum import IntEnum
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from gpuscout.charts.model import ChartSpec

REQUEST = struct.Struct(">I")
RESPONSE = struct.Struct(">BI")

#: Longer frames are a fault, not a chart (the largest valid spec pickles to under 2 MiB).
MAX_FRAME = 32 * 1024 * 1024


class Status(IntEnum):
    """What a response frame carries."""

    READY = 0
    IMAGE = 1
    ERROR = 2


def main(watchdog: float) -> None:
    """Serves until standard input ends. ``watchdog``: seconds after which a chart ends the process.

    The watchdog needs no interpreter lock, so it also stops a hang inside of C code
    when the parent, which would kill it much earlier, is gone.
    """
    # The event loop of the parent comes first when cores are scarce.
    os.nice(5)
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes to standard error and never into the frames.
    os.dup2(2, 1)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, requests), daemon=True).start()

    from gpuscout.charts.render import render

    warnings.filterwarnings("ignore", message="Glyph .* missing from font")
    render(_warm_up_spec())
    _write(sink, Status.READY, str(os.getpid()).encode())
    while True:
        payload = requests.get()
        faulthandler.dump_traceback_later(watchdog, exit=True, file=sys.stderr)
        try:
            image = render(pickle.loads(payload))  # noqa: S301 - from our own parent
        except Exception as error:  # noqa: BLE001 - the parent logs it and answers in text
            traceback.print_exc()
            _write(sink, Status.ERROR, f"{type(error).__name__}: {error}".encode())
        else:
            _write(sink, Status.IMAGE, image)
        finally:
            faulthandler.cancel_dump_traceback_later()


def _read(source: BinaryIO, requests: queue.SimpleQueue[bytes]) -> None:
    while True:
        header = source.read(REQUEST.size)
        if len(header) == REQUEST.size:
            (size,) = REQUEST.unpack(header)
            payload = source.read(size) if size <= MAX_FRAME else b""
            if size and len(payload) == size:
                requests.put(payload)
                continue
        # The parent closed the pipe or died; nobody waits for what is being drawn.
        os._exit(0)


def _write(sink: BinaryIO, status: Status, payload: bytes) -> None:
    try:
        sink.write(RESPONSE.pack(status, len(payload)) + payload)
        sink.flush()
    except BrokenPipeError:
        os._exit(0)


def _warm_up_spec() -> ChartSpec:
    # The first chart of a process loads fonts and locale data; do that before anyone waits.
    from gpuscout.charts.model import ChartPanel, ChartSeries, ChartSpec

    series = ChartSeries("warm", "Warm", (0.0, 1800.0, 3600.0), (1.0, 2.0, 1.5), (0.5,) * 3, (2.5,) * 3)
    panels = (ChartPanel("usd_per_hour", (series,)), ChartPanel("ratio", ()))
    return ChartSpec("Warm", "0123456789", panels, 0.0, 3600.0, 2000.0, "none", 3600.0, badge="WARM")
