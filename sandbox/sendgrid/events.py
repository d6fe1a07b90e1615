"""Signed events: as SendGrid signs them, sent to the product's webhook."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import aiohttp
import structlog
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

log = structlog.get_logger(__name__)

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
TRIES = 6
PAUSE = 0.5


class EventSender:
    """Sends batches of events, in order, again until they are taken. Owned by the stand-in, which closes it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.url: str | None = None
        self.answers: list[int] = []
        self._queue: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def public_key(self) -> str:
        """What SendGrid's page shows: base64 of the DER form."""
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def sign(self, body: bytes, at: int | None = None) -> dict[str, str]:
        """The two headers of a body signed at *at*, epoch seconds (now if not given)."""
        stamp = str(int(time.time()) if at is None else at)
        signature = self._key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}

    def start(self) -> None:
        """Begin to send what is put in."""
        self._task = asyncio.create_task(self._run(), name="sandbox-sendgrid-events")

    async def stop(self) -> None:
        """End; what was not taken is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def put(self, events: list[dict[str, Any]]) -> None:
        """Send *events* in one request, after those put in before."""
        if events and self.url is not None:
            self._queue.put_nowait(events)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                events = await self._queue.get()
                body = json.dumps(events).encode()
                for attempt in range(TRIES):
                    if await self._post(session, body):
                        break
                    await asyncio.sleep(PAUSE * 2**attempt)
                else:
                    log.warning("sandbox_events_not_taken", count=len(events))

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        if self.url is None:
            return False
        headers = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API", **self.sign(body)}
        try:
            async with session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer:
                self.answers.append(answer.status)
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("sandbox_events_unreachable", reason=type(error).__name__)
            return False
