"""The mail service: a request built with SendGrid's own classes, sent over our asynchronous client."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any, Final, Protocol
from urllib.parse import quote

import structlog

from gpuscout.delivery.channels import NotSent
from gpuscout.delivery.mail.models import Attachment, Group
from gpuscout.resilience.errors import BadStatus, CircuitOpen, UpstreamError
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import BACKGROUND, RetryPolicy

log = structlog.get_logger(__name__)

SEND_PATH: Final = "/v3/mail/send"
MESSAGE_ARG: Final = "gpuscout_message"
"""Name of the custom argument that carries our id of a mail; events come back with it."""
SEND_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail, ready to be sent.

    Attributes:
        message_id: ours.
        category: kind of mail, for the mail service's own statistics.
        group: what of its kinds can be declined by itself; None: none.
        unsubscribe: address of the one-click header.
        template: dynamic template; then *data* fills it, and subject, text and HTML are its own.
        tracked: whether the mail service notes opens and clicks (only for a running test).
    """

    message_id: str
    to: str
    subject: str
    text: str
    html: str
    category: str
    group: Group | None = None
    unsubscribe: str | None = None
    template: str | None = None
    data: Mapping[str, Any] | None = None
    variant: str | None = None
    tracked: bool = False
    pictures: Sequence[Attachment] = ()


class MailService(Protocol):
    """Sends mails, and keeps the lists of who must not get any."""

    async def send(self, mail: OutgoingMail) -> str:
        """Send; the mail service's id of the mail ("" where it names none).

        Raises:
            NotSent: see there.
        """
        ...

    async def decline(self, address: str, group: Group, declined: bool) -> None:
        """Tell the mail service that an address declined a group, or wants it again.

        Raises:
            gpuscout.resilience.errors.UpstreamError: it could not be told.
        """
        ...

    async def lift(self, address: str) -> None:
        """Take an address off the lists of bounces and of global unsubscribes: its owner confirmed it anew.

        Raises:
            gpuscout.resilience.errors.UpstreamError: it could not be told.
        """
        ...


class SendGridMail:
    """SendGrid's v3 web API.

    Args:
        client: tries once; trying again is the job's matter, here as everywhere.
        sender: ``Name <address>``.
        groups: ids of the unsubscribe groups.
    """

    def __init__(self, client: ResilientClient, sender: str, groups: Mapping[str, int]) -> None:
        self._client = client
        self._name, self._from = parseaddr(sender)
        self._groups = dict(groups)

    async def send(self, mail: OutgoingMail) -> str:
        """See :class:`MailService`."""
        # The library takes a moment to load, and pictures to encode.
        content = await asyncio.to_thread(self._request, mail)
        try:
            answer = await self._client.send(
                "POST", SEND_PATH, content=content, headers={"content-type": "application/json"}
            )
        except BadStatus as error:
            # 400 and 413 would be refused for ever; a wrong key or a missing right is mended by the operator.
            refused = error.status in (400, 404, 405, 413)
            if not refused:
                log.error("mail_service_refuses", status=error.status, remedy="check SENDGRID_API_KEY and MAIL_FROM")
            raise NotSent("refused" if refused else "failed", _reason(error)) from error
        except CircuitOpen as error:
            raise NotSent("failed", str(error), retry_after=error.retry_after) from error
        except UpstreamError as error:
            raise NotSent("unknown" if error.unsure else "failed", str(error), retry_after=error.retry_after) from error
        return str(answer.headers.get("x-message-id", ""))

    def _request(self, mail: OutgoingMail) -> bytes:
        body = build_request(mail, self._from, self._name, self._groups)
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    async def decline(self, address: str, group: Group, declined: bool) -> None:
        """See :class:`MailService`. A group without an id at SendGrid is ours alone."""
        group_id = self._groups.get(group)
        if group_id is None:
            return
        path = f"/v3/asm/groups/{group_id}/suppressions"
        if declined:
            body = json.dumps({"recipient_emails": [address]}).encode()
            await self._client.send("POST", path, content=body, headers={"content-type": "application/json"})
        else:
            await self._delete(f"{path}/{quote(address, safe='@')}")

    async def lift(self, address: str) -> None:
        """See :class:`MailService`."""
        named = quote(address, safe="@")
        for kept in ("suppression/bounces", "asm/suppressions/global"):
            await self._delete(f"/v3/{kept}/{named}")

    async def _delete(self, path: str) -> None:
        try:
            await self._client.send("DELETE", path)
        except BadStatus as error:
            if error.status != 404:  # it is not on the list: what was wanted
                raise

    async def check(self, retry: RetryPolicy = BACKGROUND) -> Sequence[str]:
        """What the key may do, for ``gpuscout doctor``.

        Raises:
            gpuscout.resilience.errors.UpstreamError: SendGrid does not answer, or does not know the key.
        """
        answer = await self._client.get("/v3/scopes", retry=retry)
        try:
            scopes = json.loads(answer.body)["scopes"]
        except (ValueError, KeyError, TypeError):
            return ()
        return [str(scope) for scope in scopes] if isinstance(scopes, list) else ()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def build_request(mail: OutgoingMail, sender: str, name: str, groups: Mapping[str, int]) -> dict[str, Any]:
    """The body of ``POST /v3/mail/send``, made with SendGrid's helper classes. Loads them: about 60 ms the first
    time."""
    from sendgrid.helpers.mail import (
        Asm,
        Category,
        ClickTracking,
        Content,
        CustomArg,
        From,
        GroupsToDisplay,
        Header,
        Mail,
        OpenTracking,
        Personalization,
        SubscriptionTracking,
        To,
        TrackingSettings,
    )

    built = Mail()
    built.from_email = From(sender, name or None)
    to = Personalization()
    to.add_to(To(mail.to))
    to.add_custom_arg(CustomArg(MESSAGE_ARG, mail.message_id))
    if mail.variant is not None:
        to.add_custom_arg(CustomArg("gpuscout_variant", mail.variant))
    built.add_personalization(to)
    if mail.template is not None:
        built.template_id = mail.template
        to.dynamic_template_data = {**(mail.data or {}), "unsubscribe_url": mail.unsubscribe or ""}
    else:
        built.subject = mail.subject
        built.add_content(Content("text/plain", mail.text))
        built.add_content(Content("text/html", mail.html))
    if mail.unsubscribe is not None:
        # RFC 8058: a mail program unsubscribes with one POST, and no page in between.
        built.add_header(Header("List-Unsubscribe", f"<{mail.unsubscribe}>"))
        built.add_header(Header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if mail.group is not None and (group_id := groups.get(mail.group)) is not None:
        shown = sorted(set(groups.values()))[:25]
        built.asm = Asm(group_id, GroupsToDisplay(shown))
    built.add_category(Category(mail.category))
    tracking = TrackingSettings()
    tracking.click_tracking = ClickTracking(enable=mail.tracked, enable_text=False)
    tracking.open_tracking = OpenTracking(enable=mail.tracked)
    tracking.subscription_tracking = SubscriptionTracking(enable=False)
    built.tracking_settings = tracking
    for picture in mail.pictures:
        built.add_attachment(_attachment(picture))
    body: dict[str, Any] = built.get()
    return body


def _attachment(picture: Attachment) -> Any:
    from sendgrid.helpers.mail import Attachment as Attached
    from sendgrid.helpers.mail import ContentId, Disposition, FileContent, FileName, FileType

    return Attached(
        FileContent(base64.b64encode(picture.data).decode()),
        FileName(picture.name),
        FileType(picture.media),
        Disposition("inline"),
        ContentId(picture.name),
    )


def _reason(error: BadStatus) -> str:
    """What SendGrid said, if it said something; never an address."""
    try:
        told = json.loads(error.body)["errors"][0]
        return f"sendgrid: {error.status}, {told.get('field') or 'request'}: {str(told.get('message'))[:160]}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return str(error)
