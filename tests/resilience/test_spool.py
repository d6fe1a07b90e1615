"""A large answer goes to a file, packed as it came, however often it is tried."""

from __future__ import annotations

import gzip
import tempfile
from typing import Any

import httpx
import pytest

from gpuscout.resilience.errors import BadEncoding, ResponseTooLarge
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import RetryPolicy
from gpuscout.resilience.spool import Spool

LARGE = b'{"offers": [' + b"1234567890," * 200_000 + b"1]}"


def client(*answers: httpx.Response, retries: int = 0) -> ResilientClient:
    left = list(answers)

    async def at_once(_seconds: float) -> None:
        """No pause between tries."""

    return ResilientClient(
        "farm",
        ["https://farm.example"],
        retry=RetryPolicy(retries=retries),
        transport=httpx.MockTransport(lambda _request: left.pop(0)),
        sleep=at_once,
    )


async def test_the_body_is_spooled_and_not_held() -> None:
    async with client(httpx.Response(200, stream=httpx.ByteStream(LARGE))) as farm, Spool() as spool:
        response = await farm.get("/machines", spool=spool)
        assert response.body == b"" and not response.packed and spool.size == len(LARGE)
        spool.file.seek(0)
        assert spool.file.read() == LARGE


async def test_a_packed_body_stays_packed() -> None:
    packed = gzip.compress(LARGE)
    answer = httpx.Response(200, stream=httpx.ByteStream(packed), headers={"content-encoding": "gzip"})
    async with client(answer) as farm, Spool() as spool:
        response = await farm.get("/machines", spool=spool, max_bytes=len(packed))
        assert response.packed
        spool.file.seek(0)
        assert spool.file.read() == packed


async def test_another_try_begins_the_file_anew() -> None:
    async def broken() -> Any:
        yield LARGE[:500_000]
        raise httpx.ReadError("gone")

    first = httpx.Response(200, content=broken())
    async with client(first, httpx.Response(200, stream=httpx.ByteStream(b"{}")), retries=1) as farm, Spool() as spool:
        response = await farm.get("/machines", spool=spool)
        assert response.attempts == 2
        spool.file.seek(0)
        assert spool.file.read() == b"{}"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_given_up(declared: bool) -> None:
    async def chunks() -> Any:
        for first in range(0, len(LARGE), 65_536):
            yield LARGE[first : first + 65_536]

    answer = httpx.Response(200, content=LARGE if declared else chunks())
    async with client(answer) as farm, Spool() as spool:
        with pytest.raises(ResponseTooLarge):
            await farm.get("/machines", spool=spool, max_bytes=1_000_000)
        assert spool.size <= 1_000_000


async def test_other_packings_are_refused_and_304_leaves_the_file_alone() -> None:
    odd = httpx.Response(200, stream=httpx.ByteStream(b"x"), headers={"content-encoding": "br"})
    async with client(odd, httpx.Response(304, stream=httpx.ByteStream(b""))) as farm, Spool() as spool:
        with pytest.raises(BadEncoding):
            await farm.get("/machines", spool=spool)
        assert (await farm.get("/machines", spool=spool)).status == 304
        assert spool.size == 0


async def test_a_disk_that_is_full_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    async with client(httpx.Response(200, stream=httpx.ByteStream(LARGE))) as farm, Spool() as spool:
        with pytest.raises(OSError, match="No space left"):
            await farm.get("/machines", spool=spool)
