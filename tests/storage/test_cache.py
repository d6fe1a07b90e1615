"""The cache in this process and in a real Redis: the same promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import structlog

from storage.cache import Cache, MemoryCache, open_cache
from storage.redis_cache import RedisCache
from tests.services import RedisServer, free_port


def patient(url: str) -> RedisCache:
    return RedisCache(url, timeout=20.0)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    # A call that a busy machine holds up is no outage here.
    cache = open_cache() if request.param == "memory" else patient(request.getfixturevalue("redis_url"))
    yield cache
    await cache.aclose()


async def test_set_get_delete_and_expiry(cache: Cache) -> None:
    assert await cache.get("k") is None
    await cache.set("k", b"\x00\xff", 60)
    assert await cache.get("k") == b"\x00\xff"
    await cache.delete("k")
    assert await cache.get("k") is None
    await cache.set("short", b"x", 0.05)
    await cache.set("never", b"x", 0)
    await asyncio.sleep(0.1)
    assert await cache.get("short") is None
    assert await cache.get("never") is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.errors) == (1, 4, 0)


async def test_many_callers_one_computation(cache: Cache) -> None:
    calls = 0

    async def compute() -> bytes:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        return b"value"

    assert await asyncio.gather(*(cache.get_or_compute("k", 60, compute) for _ in range(20))) == [b"value"] * 20
    assert await cache.get_or_compute("k", 60, compute) == b"value"
    assert calls == 1


async def test_a_failed_computation_is_told_to_all_and_not_kept(cache: Cache) -> None:
    async def fail() -> bytes:
        await asyncio.sleep(0.01)
        raise LookupError("no data")

    results = await asyncio.gather(*(cache.get_or_compute("k", 60, fail) for _ in range(3)), return_exceptions=True)
    assert [type(r) for r in results] == [LookupError] * 3

    async def succeed() -> bytes:
        return b"now"

    assert await cache.get_or_compute("k", 60, succeed) == b"now"


async def test_a_cancelled_caller_does_not_spoil_it_for_others(cache: Cache) -> None:
    started = asyncio.Event()
    go_on = asyncio.Event()

    async def compute() -> bytes:
        started.set()
        await go_on.wait()
        return b"value"

    first = asyncio.create_task(cache.get_or_compute("k", 60, compute))
    await started.wait()
    second = asyncio.create_task(cache.get_or_compute("k", 60, compute))
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert await second == b"value"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_notices_reach_every_subscriber_of_the_channel(cache: Cache) -> None:
    async with cache.subscribe("market") as one, cache.subscribe("market") as two, cache.subscribe("other") as other:
        await cache.publish("market", b"17")
        await cache.publish("other", b"x")
        async with asyncio.timeout(30):
            assert await anext(one) == b"17"
            assert await anext(two) == b"17"
            assert await anext(other) == b"x"
    await cache.publish("market", b"nobody listens")
    async with cache.subscribe("market") as again:
        await cache.publish("market", b"18")
        async with asyncio.timeout(30):
            assert await anext(again) == b"18"


async def test_a_slow_listener_loses_the_oldest(cache: Cache) -> None:
    async with cache.subscribe("market") as notices:
        for number in range(250):
            await cache.publish("market", str(number).encode())
        async with asyncio.timeout(30):
            while notices.dropped < 150:
                await asyncio.sleep(0.01)
            assert await anext(notices) == b"150"


async def test_closing_ends_the_listeners(cache: Cache) -> None:
    heard: list[bytes] = []
    ready = asyncio.Event()

    async def listen() -> None:
        async with cache.subscribe("market") as notices:
            ready.set()
            async for notice in notices:
                heard.append(notice)

    task = asyncio.create_task(listen())
    await ready.wait()
    await cache.publish("market", b"last")
    async with asyncio.timeout(30):
        while not heard:
            await asyncio.sleep(0.01)
    await cache.aclose()
    async with asyncio.timeout(30):
        await task
    assert heard == [b"last"]


async def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(max_bytes=30)
    for key in "abc":
        await cache.set(key, b"123456789", 60)
    await cache.get("a")
    await cache.set("d", b"123456789", 60)
    assert [await cache.get(key) is not None for key in "abcd"] == [True, False, True, True]
    await cache.set("d", b"x", 60)
    await cache.set("huge", b"x" * 100, 60)
    assert await cache.get("huge") is None
    stats = cache.stats()
    assert (stats.entries, stats.bytes) == (3, 22)
    await cache.aclose()


async def test_memory_expires_by_its_clock() -> None:
    now = 0.0
    cache = MemoryCache(clock=lambda: now)
    await cache.set("k", b"v", 10)
    now = 9.9
    assert await cache.get("k") == b"v"
    now = 10
    assert await cache.get("k") is None
    assert cache.stats().bytes == 0
    await cache.aclose()


@pytest.mark.redis
async def test_two_processes_share_values_and_notices(redis_url: str) -> None:
    one, two = patient(redis_url), patient(redis_url)
    async with two.subscribe("market") as notices:
        await one.set("k", b"v", 60)
        await one.publish("market", b"1")
        assert await two.get("k") == b"v"
        async with asyncio.timeout(30):
            assert await anext(notices) == b"1"
    await one.aclose()
    await two.aclose()


@pytest.mark.redis
async def test_redis_goes_and_comes_back(redis_server: RedisServer) -> None:
    cache = RedisCache(redis_server.url, timeout=5.0)

    async def compute() -> bytes:
        return b"computed"

    with structlog.testing.capture_logs() as logs:
        async with cache.subscribe("market") as notices:
            await cache.set("k", b"v", 600)
            redis_server.stop()
            started = time.monotonic()
            for _ in range(50):
                assert await cache.get("k") is None
            assert await cache.get_or_compute("k", 60, compute) == b"computed"
            await cache.set("other", b"x", 60)
            assert time.monotonic() - started < 20  # not one timeout a call: those would be minutes
            await cache.publish("market", b"while away")
            async with asyncio.timeout(20):
                assert await anext(notices) == b"while away"
            assert cache.stats().errors >= 1

            redis_server.start()
            async with asyncio.timeout(60):
                while await cache.get("back") is None:
                    await cache.set("back", b"yes", 60)
                    await asyncio.sleep(0.05)
                other = RedisCache(redis_server.url)
                heard = b""
                while heard != b"again":
                    await other.publish("market", b"again")
                    await asyncio.sleep(0.1)
                    if notices.dropped or notices.waiting:
                        heard = await anext(notices)
                await other.aclose()
    events = [entry["event"] for entry in logs]
    assert events.count("cache_away") == 1
    assert events.count("cache_back") == 1
    assert events.count("cache_listener_away") <= 1
    await cache.aclose()


@pytest.mark.redis
async def test_an_idle_listener_stays_connected(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.redis_cache._IDLE_SECONDS", 0.5)
    cache = RedisCache(redis_url)
    with structlog.testing.capture_logs() as logs:
        async with cache.subscribe("market") as notices:
            await asyncio.sleep(2.2)  # several rounds of asking, and longer than the calls' timeout
            await cache.publish("market", b"1")
            async with asyncio.timeout(20):
                assert await anext(notices) == b"1"
    assert logs == []
    await cache.aclose()


async def test_a_redis_that_never_was_is_a_cache_that_misses() -> None:
    cache = RedisCache(f"redis://127.0.0.1:{free_port()}/0")
    assert await cache.get("k") is None
    async with cache.subscribe("market") as notices:
        await cache.publish("market", b"local")
        async with asyncio.timeout(20):
            assert await anext(notices) == b"local"
    await cache.aclose()


async def test_a_redis_that_hangs_costs_one_timeout() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cache = RedisCache(f"redis://127.0.0.1:{port}/0", timeout=0.2)
    started = time.monotonic()
    for _ in range(20):
        assert await cache.get("k") is None
    assert time.monotonic() - started < 3  # one timeout each would be four seconds
    await cache.aclose()
    server.close()
    await server.wait_closed()


def test_a_wrong_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as caught:
        open_cache("http://user:hunter2@example.org")
    assert "hunter2" not in str(caught.value)
