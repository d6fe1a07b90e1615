"""One try: bounded in time and size, genuine for every verifier, and never to a private address."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from yarl import URL

from gpuscout.delivery.webhook_send import KEPT_BYTES, WebhookSender
from gpuscout.delivery.webhook_sign import new_secret, secret_bytes, signed_headers
from gpuscout.resilience.public_connect import PUBLIC_ONLY, WITH_LOOPBACK
from sandbox.webhooks import WebhookReceiver
from sandbox.webhooks.receiver import own_signature_fits
from tests.resilience.test_public_connect import Answers

Serve = Callable[[bytes], Awaitable[URL]]


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    made = WebhookSender(WITH_LOOPBACK)
    yield made
    await made.aclose()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes a server that answers any request with the given bytes."""
    servers: list[asyncio.Server] = []

    async def start(raw: bytes) -> URL:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@given(st.binary(max_size=200).map(lambda raw: json.dumps({"raw": raw.hex()}).encode()))
def test_both_signatures_verify_during_a_rotation_and_nothing_changed_does(body: bytes) -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    now = datetime.now(UTC)
    headers = signed_headers(body, event="alert.triggered", delivery_id="d1", keys=[new, old], at=now)
    for secret in (new, old):
        text = secret.get_secret_value()
        assert Webhook(text).verify(body, headers) == json.loads(body)
        assert own_signature_fits(text, body, headers["X-GPUScout-Signature"])
        assert not own_signature_fits(text, body + b" ", headers["X-GPUScout-Signature"])
        with pytest.raises(WebhookVerificationError):
            Webhook(text).verify(body + b" ", headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(text).verify(body, {**headers, "webhook-id": "d2"})
    with pytest.raises(WebhookVerificationError):
        Webhook(other.get_secret_value()).verify(body, headers)
    assert not own_signature_fits(other.get_secret_value(), body, headers["X-GPUScout-Signature"])


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_is_of_its_time(minutes: int) -> None:
    secret = new_secret()
    then = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = signed_headers(b"{}", event="e", delivery_id="d", keys=[secret], at=then)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.get_secret_value()).verify(b"{}", headers)


@pytest.mark.parametrize("text", ["", "secret", "whsec_!!!", "whsec_abc"])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="signing secret"):
        secret_bytes(SecretStr(text))


def test_secrets_are_long_and_never_the_same() -> None:
    made = [new_secret() for _ in range(50)]
    assert len({one.get_secret_value() for one in made}) == 50
    assert {len(secret_bytes(one)) for one in made} == {32}
    assert "whsec_" not in repr(made[0])


async def test_a_slow_receiver_is_given_up() -> None:
    sender = WebhookSender(WITH_LOOPBACK, seconds=0.3)
    try:
        async with WebhookReceiver() as receiver:
            receiver.behave(seconds=30)
            answer = await sender.post(URL(receiver.url), b"{}", {})
        assert (answer.status, answer.error, answer.good) == (None, "timeout", False)
    finally:
        await sender.aclose()


async def test_nobody_there(sender: WebhookSender) -> None:
    async with WebhookReceiver() as receiver:
        url = URL(receiver.url)
    answer = await sender.post(url, b"{}", {})
    assert (answer.status, answer.error, answer.body) == (None, "connection", "")


async def test_a_large_answer_is_read_no_further_than_allowed(sender: WebhookSender, serve: Serve) -> None:
    size = 50_000_000
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    answer = await sender.post(await serve(head + b"x" * 200_000), b"{}", {})
    assert answer.good
    assert answer.body == "x" * KEPT_BYTES


async def test_a_packed_answer_is_not_unpacked(sender: WebhookSender, serve: Serve) -> None:
    packed = zlib.compress(b"x" * 50_000_000, wbits=31)[:60_000]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    answer = await sender.post(await serve(head + packed), b"{}", {})
    assert answer.good
    assert len(answer.body) <= KEPT_BYTES


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", "bad_answer"),
        (b"", "connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "bad_answer"),
    ],
)
async def test_what_is_not_http_is_a_failure_and_no_crash(
    sender: WebhookSender, serve: Serve, raw: bytes, error: str
) -> None:
    answer = await sender.post(await serve(raw), b"{}", {})
    assert not answer.good
    assert answer.error in (error, "connection")


async def test_a_private_address_is_refused_and_says_so() -> None:
    async with WebhookReceiver() as receiver:
        port = URL(receiver.url).port
        sender = WebhookSender(PUBLIC_ONLY, resolver=Answers(["127.0.0.1"]))
        try:
            for host in ("127.0.0.1", "hooks.example.com"):
                answer = await sender.post(URL(f"http://{host}:{port}/hook"), b"{}", {})
                assert (answer.status, answer.error, answer.body) == (None, "refused", "")
        finally:
            await sender.aclose()
        assert not receiver.received


async def test_the_environments_proxy_is_not_asked(sender: WebhookSender, monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebhookReceiver() as proxy, WebhookReceiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base)
        answer = await sender.post(URL(receiver.url), b"{}", {})
        assert answer.good
        assert not proxy.received
        assert len(receiver.received) == 1


def self_signed() -> tuple[bytes, bytes]:
    """Certificate and key, PEM, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_a_trusted_one_taken(tmp_path: Path) -> None:
    certificate, key = self_signed()
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    came: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=here)
    url = URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    trusting = ssl.create_default_context(cadata=certificate.decode())
    strict, trustful = WebhookSender(WITH_LOOPBACK), WebhookSender(WITH_LOOPBACK, ssl_context=trusting)
    try:
        refused = await strict.post(url, b"{}", {})
        assert (refused.status, refused.error) == (None, "tls")
        assert came == []
        assert (await trustful.post(url, b"{}", {})).good
        assert len(came) == 1
    finally:
        await strict.aclose()
        await trustful.aclose()
        server.close()
        await server.wait_closed()
