"""``gpuscout mail``: results of two-variant tests, and lifting a suppression by hand."""

from __future__ import annotations

import typer

from bot.mail_role import mail_keys
from bot.parts import open_parts
from config.settings import Settings
from gpuscout.delivery.mail.address import AddressHasher, BadAddress, masked, parse_address
from gpuscout.delivery.mail.models import GROUPS
from storage.mail import ALL, MailStore
from storage.mail_log import MailLog, VariantResult

COLUMNS = ("test", "variant", "members", "sent", "delivered", "opened", "clicked", "failed")


async def show_results(settings: Settings) -> int:
    """Print each test's variants. Clicks decide: opens are inflated by mail programs that load every picture."""
    parts = open_parts(settings)
    try:
        results = await MailLog(parts.db).results()
    finally:
        await parts.aclose()
    if not results:
        typer.echo("No mail of a running test was given to anybody yet.")
        return 0
    rows = [COLUMNS, *(_row(result) for result in results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        typer.echo("  ".join(cells).rstrip())
    return 0


def _row(result: VariantResult) -> tuple[str, ...]:
    def part(count: int) -> str:
        return f"{count} ({count / result.sent:.0%})" if result.sent else str(count)

    return (
        result.experiment,
        result.variant,
        str(result.assigned),
        str(result.sent),
        part(result.delivered),
        part(result.opened),
        part(result.clicked),
        part(result.failed),
    )


async def lift(settings: Settings, typed: str) -> int:
    """Let mail go to an address again whose owner asked for it; 1 when nothing hindered it."""
    try:
        address = parse_address(typed)
    except BadAddress:
        typer.echo("That is no e-mail address.", err=True)
        return 2
    parts = open_parts(settings)
    try:
        digests = AddressHasher(mail_keys(settings, "mail-address")).digests(address)
        async with parts.db.write() as conn:
            reasons = ["bounce", "complaint", "unsubscribe", "invalid"]
            lifted = await MailStore(parts.db, parts.jobs).allow(conn, digests, [ALL, *GROUPS], reasons)
    finally:
        await parts.aclose()
    if not lifted:
        typer.echo(f"Nothing hinders mail to {masked(address)} here.")
        return 1
    typer.echo(f"Lifted for {masked(address)}; take it off SendGrid's own lists too. The member confirms it once more.")
    return 0
