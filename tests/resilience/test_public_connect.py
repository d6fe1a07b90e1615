"""No connection to anything but public addresses, judged where the socket is made."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.resilience.public_connect import (
    PUBLIC_ONLY,
    WITH_LOOPBACK,
    AddressRefused,
    PublicConnector,
    is_public,
    refusal,
    socket_factory,
)

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata service, in the range of carrier-grade NAT
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1"]
PUBLIC_V6 = ["2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        PUBLIC_ONLY.check(text)
    if "127.0.0.1" not in text and text not in ("::1", "127.255.255.254"):
        with pytest.raises(AddressRefused):
            WITH_LOOPBACK.check(text)


@pytest.mark.parametrize("text", PUBLIC + PUBLIC_V6)
def test_public(text: str) -> None:
    PUBLIC_ONLY.check(text)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "1.1.1.1.", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        PUBLIC_ONLY.check(text)
    assert caught.value.why == "unreadable"


@given(st.ip_addresses(v=4))
def test_no_address_of_ipv4_passes_that_the_standard_library_does_not_call_global(
    address: ipaddress.IPv4Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not (address.is_private or address.is_loopback or address.is_link_local)
        assert not (address.is_multicast or address.is_reserved or address.is_unspecified)


@given(st.sampled_from(["::ffff:0:0", "::", "64:ff9b::", "2002::"]), st.ip_addresses(v=4))
def test_no_address_of_ipv4_passes_inside_one_of_ipv6(prefix: str, address: ipaddress.IPv4Address) -> None:
    base = int(ipaddress.IPv6Address(prefix))
    inner = int(address) << 80 if prefix == "2002::" else int(address)
    assert not is_public(ipaddress.IPv6Address(base | inner))


@given(st.ip_addresses(v=6))
def test_addresses_of_ipv6_pass_only_from_global_unicast(address: ipaddress.IPv6Address) -> None:
    if is_public(address):
        assert address in ipaddress.ip_network("2000::/3")
        assert address.sixtofour is None
        assert address.teredo is None
        assert address.ipv4_mapped is None


class Answers(AbstractResolver):
    """A resolver that gives one list of addresses after the other, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": one,
                "port": port,
                "family": socket.AF_INET6 if ":" in one else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for one in found
        ]

    async def close(self) -> None:
        return


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[Any]]]:
    """A server on loopback that counts who connects."""
    came: list[Any] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], came
    server.close()
    await server.wait_closed()


async def ask(url: str, connector: aiohttp.BaseConnector) -> int:
    async with (
        aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.get(url) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_addresses_in_digits_skip_the_resolver_and_are_refused_at_the_socket(
    listener: tuple[int, list[Any]], host: str
) -> None:
    port, came = listener
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await ask(f"http://{host}:{port}/", PublicConnector())
    assert refusal(caught.value) is not None
    assert came == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["10.0.0.1", "1.1.1.1"]])
async def test_a_name_with_one_private_address_is_refused_whole(
    listener: tuple[int, list[Any]], answer: list[str]
) -> None:
    port, came = listener
    with pytest.raises((aiohttp.ClientError, AddressRefused)) as caught:
        await ask(f"http://hooks.example.com:{port}/", PublicConnector(resolver=Answers(answer)))
    assert refusal(caught.value) is not None
    assert came == []


async def test_a_name_that_was_public_when_it_was_checked_and_is_private_now(listener: tuple[int, list[Any]]) -> None:
    port, came = listener
    resolver = Answers(["93.184.215.14"], ["127.0.0.1"])
    connector = PublicConnector(resolver=resolver)
    # The check beforehand, as when the address was given to us.
    [checked] = await connector._guarded.resolve("rebind.example.com", port)
    PUBLIC_ONLY.check(checked["host"])
    with pytest.raises((aiohttp.ClientError, AddressRefused)) as caught:
        await ask(f"http://rebind.example.com:{port}/", connector)
    assert refusal(caught.value) is not None
    assert resolver.asked == 2  # nothing of the first answer was kept
    assert came == []


async def test_a_resolver_that_lies_is_found_out_at_the_socket(listener: tuple[int, list[Any]]) -> None:
    """The name's check is got round altogether: what the socket is to connect to decides."""
    port, came = listener
    connector = aiohttp.TCPConnector(
        resolver=Answers(["127.0.0.1"]), use_dns_cache=False, socket_factory=socket_factory(PUBLIC_ONLY)
    )
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await ask(f"http://rebind.example.com:{port}/", connector)
    assert refusal(caught.value) is not None
    assert came == []


async def test_the_same_connection_is_made_where_loopback_is_allowed(listener: tuple[int, list[Any]]) -> None:
    """Proves that the tests above were refused by the rules and by nothing else."""
    port, came = listener
    assert await ask(f"http://127.0.0.1:{port}/", PublicConnector(WITH_LOOPBACK)) == 200
    assert (
        await ask(f"http://name.test:{port}/", PublicConnector(WITH_LOOPBACK, resolver=Answers(["127.0.0.1"]))) == 200
    )
    assert len(came) == 2


def test_no_setting_allows_loopback() -> None:
    from config.settings import Settings

    assert not [name for name in Settings.model_fields if "loopback" in name or "webhook_rule" in name]
    assert PUBLIC_ONLY.loopback is False
