"""``python -m sandbox.farm``: the stand-in by itself, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from sandbox.farm.clock import SimClock
from sandbox.farm.market import Market
from sandbox.farm.server import MOUNT, FarmServer


async def _serve(port: int, seed: int, speed: float) -> int:
    server = FarmServer(Market(seed), SimClock.real_time(speed), port=port)
    try:
        await server.start()
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"Port {port} cannot be used ({reason}); try another --port.\n")
        return 1
    sys.stdout.write(f"Simulated market at {server.url}{MOUNT}/gpu-stats - Ctrl-C stops.\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    await stopped.wait()
    await server.stop()
    return 0


def main() -> int:
    """Parses the arguments and serves; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.farm", description=__doc__)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds a second")
    args = parser.parse_args()
    try:
        return asyncio.run(_serve(args.port, args.seed, args.speed))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
