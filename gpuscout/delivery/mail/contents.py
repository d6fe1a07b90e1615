"""What our own mails say: the confirmation, the welcome, security and billing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from config.i18n import Text
from gpuscout.delivery.mail.models import Block, Button, Facts, Listing, MailContent, MailKind, Span, fact, say
from gpuscout.delivery.mail.notification import reason_of

STEPS: Final[tuple[MailKind, ...]] = ("welcome1", "welcome2", "welcome3")


@dataclass(frozen=True, slots=True)
class Site:
    """Addresses that mails link to."""

    base: str
    bot: str | None = None
    """Where Discord opens; None: Discord's own front page."""

    @property
    def discord(self) -> str:
        """An address that opens Discord."""
        return self.bot or "https://discord.com/channels/@me"


class SecurityNotice(BaseModel):
    """Something happened to the account that its owner should know of.

    Attributes:
        happened: ``api_key``: a new API key; ``sign_in``: a new sign-in link; ``linked``: a platform account linked;
            ``unlinked``: and unlinked; ``webhook``: a new webhook endpoint.
        label: name of the key, the account or the endpoint, as the member wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["security"] = "security"
    happened: Literal["api_key", "sign_in", "linked", "unlinked", "webhook"]
    at: AwareDatetime
    label: str = Field(default="", max_length=200)


class BillingNotice(BaseModel):
    """Something happened to the subscription.

    Attributes:
        amount_cents: in the smallest unit of *currency*.
        until: end of the paid or the trial time.
        link: page where it can be put right.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["billing"] = "billing"
    happened: Literal["started", "changed", "paid", "payment_failed", "trial_ends", "cancelled", "ended"]
    plan: str = Field(max_length=60)
    at: AwareDatetime
    amount_cents: int | None = Field(default=None, ge=0)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    until: AwareDatetime | None = None
    link: str | None = Field(default=None, max_length=2000, pattern="^https?://")


Notice = Annotated[SecurityNotice | BillingNotice, Field(discriminator="type")]


def confirm_mail(link: str, hours: int, t: Text) -> MailContent:
    """The mail whose link confirms an address. It says nothing about who asked: he may not be the receiver."""
    return MailContent(
        subject=t("Confirm your e-mail address for GPUScout"),
        title=t("Is this your address?"),
        preheader=t("One click, and GPUScout can write to you."),
        blocks=[
            say(t("Somebody, probably you, entered this address in GPUScout, which watches GPU prices in Discord.")),
            Button(t("Confirm this address"), link),
            say(
                t(
                    "The link works once, for {hours} hours. Nothing else is sent here before it is followed.",
                    hours=t.number(hours),
                ),
                small=True,
            ),
        ],
        reason=reason_of("confirm", t),
    )


def welcome_mail(step: int, variant: str, site: Site, t: Text) -> MailContent:
    """One of the three onboarding mails; the first has two variants.

    Raises:
        ValueError: there is no such mail.
    """
    if step not in (1, 2, 3):
        raise ValueError(f"no onboarding mail {step}")
    subject, title, blocks = (_first, _second, _third)[step - 1](variant, t)
    return MailContent(
        subject=subject,
        title=title,
        preheader=t("It takes a minute, in Discord."),
        blocks=[*blocks, Button(t("Open Discord"), site.discord)],
        reason=reason_of(STEPS[step - 1], t),
        tone="good" if step == 1 else "info",
    )


def _command(command: str, text: str) -> tuple[Span, ...]:
    return Span(command, bold=True), Span(f"  {text}")


def _first(variant: str, t: Text) -> tuple[str, str, list[Block]]:
    """Variant ``a`` says what to do, ``b`` asks the question behind it."""
    if variant == "b":
        subject = title = t("What do your GPUs earn a day?")
        lead = t("GPUScout can tell you: from what the market pays, after electricity and fees. Your address is on.")
    else:
        subject, title = t("Your address is on: three things to try"), t("Welcome to GPUScout")
        lead = t("Your address is on. What reaches you here is what you ask for in Discord, and nothing else.")
    steps = Listing(
        (
            _command("/portfolio add", t("your rigs: what they earn a day, after electricity and fees")),
            _command("/alert add", t("be told once when a price or the utilization crosses your line")),
            _command("/digest set", t("a summary once a day or once a week, at your hour")),
        )
    )
    return subject, title, [say(lead), steps]


def _second(_variant: str, t: Text) -> tuple[str, str, list[Block]]:
    title = t("Is your price still right?")
    lead = t(
        "Add one rig and GPUScout compares your price with what machines like yours are rented for, and says how many "
        "stand idle above it."
    )
    steps = Listing(
        (
            _command("/portfolio add", t("by the number of your machine, or by hand")),
            _command("/portfolio advice", t("a price for each rig with its evidence, or an honest “not enough”")),
        )
    )
    return title, title, [say(lead), steps]


def _third(_variant: str, t: Text) -> tuple[str, str, list[Block]]:
    title = t("Let the market call you")
    lead = t(
        "You need not look every day. Set one alert: GPUScout shows how often it would have fired in the last 90 days "
        "before you save it, and where it will reach you."
    )
    closing = t("This was the last mail of this kind.")
    step = Listing((_command("/alert add", t("a GPU, a line, done")),))
    return title, title, [say(lead), step, say(closing, small=True)]


def security_mail(notice: SecurityNotice, site: Site, zone: str, t: Text) -> MailContent:
    """Something happened to the account."""
    titles = {
        "api_key": t("A new API key was made for your account"),
        "sign_in": t("A new sign-in link was made for your account"),
        "linked": t("A platform account was linked to your account"),
        "unlinked": t("A platform account was unlinked from your account"),
        "webhook": t("A new webhook was added to your account"),
    }
    undo = {
        "api_key": ("/apikey list", t("shows your keys and takes them back")),
        "sign_in": ("/settings", t("shows what is stored about you")),
        "linked": ("/account unlink", t("unlinks it")),
        "unlinked": ("/account link", t("links it again")),
        "webhook": ("/webhook list", t("shows your webhooks and removes them")),
    }
    command, what = undo[notice.happened]
    rows = [fact(t("Time"), t.datetime(notice.at, zone))]
    if notice.label:
        rows.insert(0, fact(t("Name"), notice.label, bold=True))
    return MailContent(
        subject=titles[notice.happened],
        title=titles[notice.happened],
        preheader=t("If this was you, there is nothing to do."),
        blocks=[
            Facts(tuple(rows)),
            say(t("If this was you, there is nothing to do. If it was not, undo it in Discord:")),
            Listing((_command(command, what),)),
            Button(t("Open Discord"), site.discord),
        ],
        reason=reason_of("security", t),
        tone="warning",
    )


def billing_mail(notice: BillingNotice, site: Site, zone: str, t: Text) -> MailContent:
    """Something happened to the subscription."""
    titles = {
        "started": t("Your plan {plan} has begun", plan=notice.plan),
        "changed": t("Your plan is {plan} now", plan=notice.plan),
        "paid": t("Your payment for {plan} arrived", plan=notice.plan),
        "payment_failed": t("Your payment for {plan} failed", plan=notice.plan),
        "trial_ends": t("Your trial of {plan} ends soon", plan=notice.plan),
        "cancelled": t("Your plan {plan} is cancelled", plan=notice.plan),
        "ended": t("Your plan {plan} has ended", plan=notice.plan),
    }
    rows = [fact(t("Plan"), notice.plan, bold=True)]
    if notice.amount_cents is not None:
        rows.append(fact(t("Amount"), t.currency(notice.amount_cents / 100, notice.currency)))
    if notice.until is not None:
        name = t("Trial until") if notice.happened == "trial_ends" else t("Paid until")
        rows.append(fact(name, t.datetime(notice.until, zone)))
    rows.append(fact(t("Time"), t.datetime(notice.at, zone)))
    blocks: list[Block] = [Facts(tuple(rows))]
    if notice.happened == "payment_failed":
        blocks.append(say(t("Nothing was lost yet. Check the card, and it is tried again by itself.")))
    if notice.link is not None:
        blocks.append(Button(t("See your subscription"), notice.link))
    else:
        blocks.append(Listing((_command("/billing", t("shows your subscription")),)))
        blocks.append(Button(t("Open Discord"), site.discord))
    bad = notice.happened in ("payment_failed", "ended")
    title = titles[notice.happened]
    return MailContent(
        subject=title, title=title, blocks=blocks, reason=reason_of("billing", t), tone="warning" if bad else "info"
    )
