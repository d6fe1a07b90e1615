"""Real servers for the tests: a PostgreSQL and a Redis on free loopback ports, ended with the test session."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg


class ServiceMissing(RuntimeError):
    """The server's program is not installed; the message is the skip reason."""


_PORTS = range(10_240, 32_768)
"""Below those that systems hand out by themselves: no connection and no server on port 0 takes one of these."""
_given: set[int] = set()


def free_port() -> int:
    """A loopback TCP port that is free, and stays so until whoever asked for it has started what listens there."""
    dice = random.SystemRandom()  # the test processes beside this one must not draw the same
    for _ in range(1000):
        port = dice.choice(_PORTS)
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise RuntimeError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")


def _die_with_parent() -> None:
    """In the child: end when the test process is killed, so that no server is left behind (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 60.0) -> bool:
    """True once *port* answers; False when the process ended (its port was taken, for example)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if _answers(port):
            return True
        time.sleep(0.02)
    raise RuntimeError(f"no answer on port {port} within {seconds:.0f} s")


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def postgres_program(name: str) -> str:
    """The newest installed ``initdb`` or ``postgres``.

    Raises:
        ServiceMissing: PostgreSQL's server is not installed.
    """
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name.split(".")[0]), reverse=True
    )
    for folder in folders:
        if (folder / name).exists() and (folder / "postgres").exists():
            return str(folder / name)
    if found := shutil.which(name):
        return found
    raise ServiceMissing(f"PostgreSQL is not installed ({name} not found): apt-get install postgresql")


def _postgres_user() -> str | None:
    """PostgreSQL refuses to run as root; the unprivileged account to use instead, or None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    raise ServiceMissing("running as root and no account 'postgres' or 'nobody' to run PostgreSQL under")


class PostgresServer:
    """A throw-away cluster; ``url(database)`` is its address for SQLAlchemy. Durability is switched off."""

    def __init__(self) -> None:
        initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
        user = _postgres_user()
        self.folder = Path(tempfile.mkdtemp(prefix="gpuscout-pg-"))
        if user is not None:
            shutil.chown(self.folder, user)
        data = self.folder / "data"
        subprocess.run(
            [initdb, "-D", str(data), "-U", "gpuscout", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self.folder,
            user=user,
            extra_groups=[] if user else None,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": "100",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        for _ in range(5):
            self.port = free_port()
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [postgres, "-D", str(data), "-p", str(self.port), *options],
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    user=user,
                    extra_groups=[] if user else None,
                    preexec_fn=_die_with_parent,
                )
            if _wait_for(self.port, self._process):
                self._wait_until_ready()
                return
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def _wait_until_ready(self) -> None:
        """The port answers before the server takes clients ("the database system is starting up")."""
        deadline = time.monotonic() + 60
        while "ready to accept connections" not in (self.folder / "log").read_text():
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL was not ready within 60 s")
            time.sleep(0.02)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://gpuscout@127.0.0.1:{self.port}/{database}"

    @contextlib.asynccontextmanager
    async def admin(self, database: str = "postgres") -> AsyncIterator[asyncpg.Connection]:
        """A connection outside any transaction, for CREATE and DROP DATABASE and the like."""
        conn = await asyncpg.connect(host="127.0.0.1", port=self.port, user="gpuscout", database=database)
        try:
            yield conn
        finally:
            await conn.close()

    def close(self) -> None:
        _stop(self._process, signal.SIGINT)  # "fast" shutdown: ends clients too
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer:
    """A Redis without persistence. ``stop()`` and ``start()`` keep the port, to play an outage."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise ServiceMissing("Redis is not installed (redis-server not found): apt-get install redis-server")
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix="gpuscout-redis-"))
        for _ in range(5):
            self.port = free_port()
            if self._launch():
                return
        raise RuntimeError("Redis did not start")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _launch(self) -> bool:
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            preexec_fn=_die_with_parent,
        )
        return _wait_for(self.port, self._process)

    def start(self) -> None:
        if not self._launch():
            raise RuntimeError(f"Redis did not come back on port {self.port}")

    def stop(self) -> None:
        _stop(self._process, signal.SIGTERM)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server
    finally:
        server.close()


async def python_process(script: str, *arguments: str) -> asyncio.subprocess.Process:
    """Run *script* with this interpreter and the checkout on its path; standard output and error are pipes."""
    root = str(Path(__file__).resolve().parent.parent)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
