"""Notices to the people who run the bot: a market source is sick, or well again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.cards.kit import plain
from gpuscout.delivery.ports import DirectMessages
from storage.jobs import JobStore

log = structlog.get_logger(__name__)

DM_JOB = "delivery.dm"


class SourceNotice(BaseModel):
    """Payload of ``operator.notice``."""

    model_config = ConfigDict(frozen=True)

    notice: str
    source: str
    problem: str = ""
    since: AwareDatetime


class DirectMessage(BaseModel):
    """Payload of ``delivery.dm``."""

    model_config = ConfigDict(frozen=True)

    user_id: int
    content: str


def render_notice(payload: Mapping[str, Any]) -> str:
    """The notice in words; figures of the source are escaped, times are Discord's own."""
    notice = SourceNotice.model_validate(payload)
    source = plain(notice.source)
    when = _relative(notice.since)
    if notice.notice == "recovered":
        return f"✅ **{source}** is well again. It had been failing since {when}."
    problem = plain(notice.problem, limit=500)
    return (
        f"⚠️ **{source}** has been failing since {when}: {problem}\n"
        "Members see the last data with their age, and after four hours that data are temporarily unavailable. "
        "You will hear once more when it is well again."
    )


class DeadNotice(BaseModel):
    """Payload of ``operator.dead``."""

    model_config = ConfigDict(frozen=True)

    kind: str
    error: str
    at: AwareDatetime


def render_dead(payload: Mapping[str, Any]) -> str:
    """The notice of a dead letter in words; what an error quotes of others is escaped."""
    notice = DeadNotice.model_validate(payload)
    return (
        f"⚠️ Work of the kind **{plain(notice.kind, 64)}** was given up {_relative(notice.at)}: "
        f"{plain(notice.error, 300)}\n"
        "Look at it, try it again or discard it with `/ops dead-letters` or `gpuscout dead-letters list`. Of this kind "
        "you hear again in an hour at the earliest."
    )


def _relative(at: datetime) -> str:
    return f"<t:{int(at.timestamp())}:R>"


def nonce_of(job_id: int, user_id: int) -> str:
    """The same for every try of one message, so that a repeat whose answer was lost is not sent twice."""
    return hashlib.sha256(f"{job_id}:{user_id}".encode()).hexdigest()[:24]


async def spread_notice(
    conn: AsyncConnection, jobs: JobStore, payload: Mapping[str, Any], owners: list[int], cause: int
) -> int:
    """One DM job an owner, in the caller's transaction: a failing DM does not repeat the others."""
    return await spread(conn, jobs, render_notice(payload), owners, cause)


async def spread(conn: AsyncConnection, jobs: JobStore, content: str, owners: list[int], cause: int) -> int:
    """One DM job an owner that says *content*; *cause* is the job that asks for it."""
    for owner in owners:
        await jobs.enqueue(
            conn,
            DM_JOB,
            DirectMessage(user_id=owner, content=content).model_dump(mode="json"),
            dedupe_key=f"{DM_JOB}:{cause}:{owner}",
            concurrency_key=f"dm:{owner}",
        )
    return len(owners)


async def send_direct_message(sender: DirectMessages, payload: Mapping[str, Any], job_id: int) -> int:
    """Send one ``delivery.dm`` job.

    Raises:
        DeliveryFailed: see :class:`gpuscout.delivery.ports.DirectMessages`.
    """
    message = DirectMessage.model_validate(payload)
    sent = await sender.send(message.user_id, message.content, nonce_of(job_id, message.user_id))
    log.info("dm_sent", job=job_id, message=sent)
    return sent
