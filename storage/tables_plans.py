"""Tables: who may use which plan, what changed, and the roles that plans give in servers."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, PrimaryKeyConstraint, String, Table

from storage.metadata import metadata
from storage.types import BigIntId, UtcDateTime

entitlement = Table(
    "entitlement",
    metadata,
    # One right to a plan, from one source. A tier is what the best live one of an owner gives.
    Column("id", String(24), primary_key=True),
    Column("owner", String(40), nullable=False),  # member:<id> or guild:<id>
    Column("tier", String(16), nullable=False),
    Column("source", String(12), nullable=False),  # stripe, discord, grant
    Column("source_id", String(255), nullable=False),  # subscription, Discord's entitlement, grant
    Column("active", Boolean, nullable=False),  # false: taken back, whatever the times say
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),  # exclusive; null: until taken back
    Column("note", String(200)),  # why: the owner's words of a grant, the status of a subscription
    Column("made_by", BigInteger),  # of a grant
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("uq_entitlement_source_source_id", "source", "source_id", unique=True),
    Index("ix_entitlement_owner", "owner"),
)

plan_change = Table(
    "plan_change",
    metadata,
    # Each change of an owner's best live tier: what churn and upgrades are counted from. The owner's hash alone stays
    # when a member erases himself.
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("owner", String(40)),  # null once erased
    Column("at", UtcDateTime, nullable=False),
    Column("from_tier", String(16), nullable=False),
    Column("to_tier", String(16), nullable=False),
    Column("source", String(12)),  # of the entitlement that decides now, or decided until now
    Index("ix_plan_change_owner_at", "owner", "at"),
    Index("ix_plan_change_at", "at"),
)

plan_tier = Table(
    "plan_tier",
    metadata,
    # The tier that was last acted on (roles, plan_change), to find what changed by time alone.
    Column("owner", String(40), primary_key=True),
    Column("tier", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

plan_role = Table(
    "plan_role",
    metadata,
    # A server's wish: members on this tier (or a better one) get this role.
    Column("guild_id", BigInteger, nullable=False),
    Column("tier", String(16), nullable=False),
    Column("role_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("guild_id", "tier", name="pk_plan_role"),
)

plan_role_given = Table(
    "plan_role_given",
    metadata,
    # Only a role that was given here is ever taken away.
    Column("guild_id", BigInteger, nullable=False),
    Column("member_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("guild_id", "member_id", "role_id", name="pk_plan_role_given"),
    Index("ix_plan_role_given_member_id", "member_id"),
)
