"""Connecting to addresses that strangers chose: only to public ones, judged at the socket that connects.

Whoever may name an address for us to call could name one inside our own network (server-side request forgery). A check
of the name is not enough: an address in digits needs no resolver, and a name may resolve to a public address when it is
checked and to a private one when it is connected to (DNS rebinding). So the check sits where the socket is made, on the
very address that it will connect to. A second one in the resolver gives the better message.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

CONNECT_SECONDS: Final = 8.0


class AddressRefused(OSError):
    """An address that we do not connect to.

    Attributes:
        why: ``private``, or ``unreadable``.
    """

    def __init__(self, address: str, why: str = "private") -> None:
        self.address, self.why = address, why
        super().__init__(f"{address} is not a public address")


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Besides what the standard library calls not global. Its list depends on the Python version, and it calls global what
# only leads somewhere by another protocol: everything that can carry an IPv4 address inside is refused whole.
_REFUSED_V4: Final = _networks(
    "0.0.0.0/8",  # "this host": connects to the local one
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT (RFC 6598), where clouds put services of their own
    "127.0.0.0/8",
    "168.63.129.16/32",  # Azure's wire server, public by its number only
    "169.254.0.0/16",  # link-local, with the clouds' metadata service
    "172.16.0.0/12",
    "192.0.0.0/24",  # IETF protocol assignments; 192.0.0.192 is a metadata service
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
)
_ALLOWED_V6: Final = ipaddress.IPv6Network("2000::/3")  # global unicast; everything else is refused
_REFUSED_V6: Final = _networks(
    "2001::/23",  # IETF protocol assignments, Teredo among them
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "2620:4f:8000::/48",
    "3fff::/20",  # documentation
    "5f00::/16",  # segment routing
)


def is_public(address: Address) -> bool:
    """Whether *address* is one of the public internet's hosts.

    Addresses of IPv6 that map, embed or translate one of IPv4 (``::ffff:…``, ``64:ff9b::…``, ``2002:…``) never are: who
    means an address of IPv4 may write it.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None or address not in _ALLOWED_V6:
        return False
    return address.is_global and not any(address in network for network in _REFUSED_V6)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be connected to.

    Attributes:
        loopback: this host's own loopback too, without TLS and at any port. For stand-ins on the same machine: no
            setting reaches it, only code that hands over :data:`WITH_LOOPBACK`.
    """

    loopback: bool = False

    def check(self, text: str) -> None:
        """Let an address in digits pass.

        Raises:
            AddressRefused: it is not public, or not an address.
        """
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise AddressRefused(text[:60], "unreadable") from None
        if is_public(address) or (self.loopback and address.is_loopback):
            return
        raise AddressRefused(str(address))


PUBLIC_ONLY: Final = AddressRules()
WITH_LOOPBACK: Final = AddressRules(loopback=True)


class PublicResolver(AbstractResolver):
    """Resolves names of public hosts; a name with a single address that is not public is refused whole.

    Args:
        inner: what really resolves; the system's by default.
    """

    def __init__(self, rules: AddressRules = PUBLIC_ONLY, inner: AbstractResolver | None = None) -> None:
        self._rules = rules
        self._inner: AbstractResolver = DefaultResolver() if inner is None else inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of *host*.

        Raises:
            AddressRefused: one of them is not public.
            OSError: the name does not resolve.
        """
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._rules.check(result["host"])
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def socket_factory(rules: AddressRules) -> Any:
    """Makes sockets for addresses that *rules* let pass.

    aiohttp calls it with the very entry of ``getaddrinfo`` that it connects the socket to next: nothing lies between
    the check and the use.
    """

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise AddressRefused(str(sockaddr)[:60], "unreadable")
        rules.check(str(sockaddr[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


class PublicConnector(aiohttp.TCPConnector):
    """aiohttp's connector for public addresses only. Names are resolved for each connection anew.

    Args:
        rules: what may be connected to.
        resolver: what really resolves; the system's by default.
        keepalive: seconds for which an idle connection is kept: below the 5 s after which many servers close theirs, so
            that none is used in the instant in which it ends.
    """

    def __init__(
        self,
        rules: AddressRules = PUBLIC_ONLY,
        *,
        resolver: AbstractResolver | None = None,
        limit: int = 64,
        limit_per_host: int = 4,
        keepalive: float = 4.0,
        **options: Any,
    ) -> None:
        self._guarded = PublicResolver(rules, resolver)
        super().__init__(
            resolver=self._guarded,
            use_dns_cache=False,
            socket_factory=socket_factory(rules),
            limit=limit,
            limit_per_host=limit_per_host,
            keepalive_timeout=keepalive,
            **options,
        )

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, and the resolver."""
        await super().close(abort_ssl=abort_ssl)
        await self._guarded.close()


def refusal(error: BaseException) -> AddressRefused | None:
    """The refusal behind an error of aiohttp's, or None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, AddressRefused):
            return seen
        inner = getattr(seen, "os_error", None)
        seen = inner if isinstance(inner, AddressRefused) else seen.__cause__
    return None
