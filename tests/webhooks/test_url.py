"""Which addresses a webhook may have, and that none of what may be secret in one is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.delivery.webhook_url import BadAddress, read_address
from gpuscout.resilience.public_connect import PUBLIC_ONLY, WITH_LOOPBACK, is_public

TOKEN = "A-b_" * 17


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://hooks.example.com", "hooks.example.com"),
        ("https://hooks.example.com/a/s3cret?token=s3cret#f", "hooks.example.com/…"),
        ("https://hooks.example.com:8443/s3cret", "hooks.example.com:8443/…"),
        ("  https://HOOKS.example.com/  ", "hooks.example.com"),
        ("https://bücher.example/s3cret", "xn--bcher-kva.example/…"),
        ("https://8.8.8.8/s3cret", "8.8.8.8/…"),
    ],
)
def test_possible(text: str, shown: str) -> None:
    found = read_address(text, PUBLIC_ONLY)
    assert found.kind == "http"
    assert "s3cret" not in found.shown
    assert found.shown == shown
    assert found.url.fragment == ""


@pytest.mark.parametrize(
    "host", ["discord.com", "canary.discord.com", "ptb.discord.com", "discordapp.com", "Discord.com."]
)
@pytest.mark.parametrize("version", ["", "/v10"])
def test_a_discord_channels(host: str, version: str) -> None:
    found = read_address(f"https://{host}/api{version}/webhooks/123456789012345678/{TOKEN}?thread_id=7", PUBLIC_ONLY)
    assert (found.kind, found.shown) == ("discord", "Discord …5678")
    assert found.url.query["thread_id"] == "7"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "unreadable"),
        ("hooks.example.com", "unreadable"),
        ("/relative", "unreadable"),
        ("https://", "unreadable"),
        ("https://a b.example.com/", "unreadable"),
        ("https://hooks.example.com/\r\nHost: evil", "unreadable"),
        ("https://hooks.example.com/" + "x" * 1000, "unreadable"),
        ("http://hooks.example.com/", "scheme"),
        ("ftp://hooks.example.com/", "scheme"),
        ("file:///etc/passwd", "unreadable"),
        ("https://user@hooks.example.com/", "userinfo"),
        ("https://user:pass@hooks.example.com/", "userinfo"),
        ("https://hooks.example.com:80/", "port"),
        ("https://hooks.example.com:6379/", "port"),
        ("https://localhost/", "host"),
        ("https://metadata/", "host"),
        ("https://127.1/", "host"),
        ("https://2130706433/", "host"),
        ("https://0x7f.1/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://127.0.0.1/", "private"),
        ("https://[::1]/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://169.254.169.254/latest/meta-data", "private"),
        ("https://discord.com/channels/1/2", "discord"),
        (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/slack", "discord"),
        (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/../x", "discord"),
    ],
)
def test_impossible(text: str, fault: str) -> None:
    with pytest.raises(BadAddress) as caught:
        read_address(text, PUBLIC_ONLY)
    assert caught.value.fault == fault
    assert text not in str(caught.value) or not text


def test_a_discord_address_elsewhere_is_a_program_of_its_own() -> None:
    """Else its owner would get unsigned messages at an address that looks like Discord's."""
    found = read_address(f"https://discord.com.evil.example/api/webhooks/123456789012345678/{TOKEN}", PUBLIC_ONLY)
    assert found.kind == "http"


def test_loopback_without_tls_is_possible_only_where_the_rules_say_so() -> None:
    assert read_address("http://127.0.0.1:8099/hook", WITH_LOOPBACK).kind == "http"
    with pytest.raises(BadAddress):
        read_address("http://127.0.0.1:8099/hook", PUBLIC_ONLY)
    for text in ("http://hooks.example.com/", "https://10.0.0.1/", "https://hooks.example.com:9/"):
        with pytest.raises(BadAddress):
            read_address(text, WITH_LOOPBACK)


@given(st.ip_addresses())
def test_an_address_in_digits_passes_exactly_if_it_is_public(address: object) -> None:
    text = f"https://[{address}]/" if ":" in str(address) else f"https://{address}/"
    try:
        read_address(text, PUBLIC_ONLY)
        passed = True
    except BadAddress as error:
        assert error.fault == "private"
        passed = False
    assert passed is is_public(address)  # type: ignore[arg-type]


@given(st.text(max_size=80))
def test_whatever_is_typed_is_judged(text: str) -> None:
    for typed in (text, f"https://{text}", f"https://{text}/hook", f"https://hooks.example.com/{text}"):
        try:
            found = read_address(typed, PUBLIC_ONLY)
        except BadAddress:
            continue
        assert found.url.scheme == "https"
        assert found.url.port in (443, 8443)


def test_the_fingerprint_is_keyed_and_finds_the_same_address() -> None:
    one = read_address("https://HOOKS.example.com/x", PUBLIC_ONLY)
    two = read_address("https://hooks.example.com:443/x#other", PUBLIC_ONLY)
    other = read_address("https://hooks.example.com/y", PUBLIC_ONLY)
    assert one.fingerprint(b"k") == two.fingerprint(b"k") != other.fingerprint(b"k")
    assert one.fingerprint(b"k") != one.fingerprint(b"l")
