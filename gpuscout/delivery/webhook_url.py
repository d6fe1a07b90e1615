"""Which addresses a webhook may have, and what of one may be shown."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

from yarl import URL

from gpuscout.resilience.public_connect import AddressRefused, AddressRules
from storage.webhooks_model import EndpointKind

MAX_URL: Final = 1000
PORTS: Final = frozenset({443, 8443})
DISCORD_HOSTS: Final = frozenset(
    {"discord.com", "canary.discord.com", "ptb.discord.com", "discordapp.com", "canary.discordapp.com"}
)
_DISCORD_PATH: Final = re.compile(r"/api(?:/v\d{1,2})?/webhooks/(?P<id>\d{15,21})/[A-Za-z0-9_-]{20,120}/?")
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})+\.?")

Fault = Literal["unreadable", "scheme", "userinfo", "host", "port", "private", "discord"]


class BadAddress(ValueError):
    """An address that a webhook cannot have; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        self.fault: Fault = fault
        super().__init__(f"webhook address: {fault}")


@dataclass(frozen=True, slots=True)
class Target:
    """An address that passed.

    Attributes:
        url: what is sent to; the very object that was judged, so that no second parser reads it otherwise.
        shown: the host, and no more of the rest than helps to tell two of them apart.
    """

    url: URL
    kind: EndpointKind
    shown: str

    def fingerprint(self, key: bytes) -> str:
        """A keyed hash that finds the same address again."""
        return hmac.new(key, str(self.url).encode(), hashlib.sha256).hexdigest()


def read_address(text: str, rules: AddressRules) -> Target:
    """Judge an address that a member gave. What its name resolves to is judged when it is connected to.

    Raises:
        BadAddress: with the reason.
    """
    text = text.strip()
    if not text or len(text) > MAX_URL or any(ord(character) <= 0x20 for character in text):
        raise BadAddress("unreadable")
    try:
        url = URL(text).with_fragment(None)
        host, port = url.raw_host, url.port
    except (ValueError, TypeError):
        raise BadAddress("unreadable") from None
    if not url.absolute or host is None:
        raise BadAddress("unreadable")
    here = rules.loopback and _is_loopback(host)
    if url.scheme != "https" and not (here and url.scheme == "http"):
        raise BadAddress("scheme")
    if url.user is not None or url.password is not None:
        raise BadAddress("userinfo")
    if port not in PORTS and not here:
        raise BadAddress("port")
    _check_host(host, rules)
    match = _DISCORD_PATH.fullmatch(url.raw_path)
    discord = host.removesuffix(".") in DISCORD_HOSTS
    if match is not None and (discord or here):
        return Target(url, "discord", f"Discord …{match['id'][-4:]}")
    if discord:
        raise BadAddress("discord")
    return Target(url, "http", _shown(url, host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_host(host: str, rules: AddressRules) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Digits that some systems read as an address, such as 127.1 or 0x7f.1, are no name of a host.
        if _HOST.fullmatch(host.lower()) is None or host.rstrip(".").rpartition(".")[2].isdigit():
            raise BadAddress("host") from None
        return
    try:
        rules.check(host)
    except AddressRefused:
        raise BadAddress("private") from None


def _shown(url: URL, host: str) -> str:
    port = "" if url.is_default_port() else f":{url.port}"
    rest = "/…" if url.raw_path_qs not in ("", "/") else ""
    return f"{host[:120]}{port}{rest}"
