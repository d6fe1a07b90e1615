"""From stored rules to what others see of them."""

from __future__ import annotations

from typing import Any, cast

from gpuscout.alerts.ports import RuleState, RuleView
from gpuscout.alerts.rules import Owner, Rule


def owner_of(row: Any) -> Owner:
    """The owner of a stored rule."""
    return Owner(
        member_id=row.member_id,
        server=row.server,
        guild_id=row.guild_id,
        channel_id=row.channel_id,
        role_id=row.role_id,
    )


def view_of(row: Any) -> RuleView:
    """A stored rule."""
    return RuleView(
        id=row.id,
        owner=owner_of(row),
        rule=Rule.model_validate(row.spec),
        state=cast(RuleState, row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        snoozed_until=row.snoozed_until,
        last_fired_at=row.last_fired_at,
        fires=row.fires,
        trouble=row.trouble,
    )
