"""Registering commands: only when they changed, and from one process.

Discord allows 200 creations a day and takes a while to spread a change, so the hash of what was registered last
is kept, together with the ids that ``</price:id>`` mentions need.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import structlog
from discord import app_commands

from cogs.services import StateStore

log = structlog.get_logger(__name__)

STATE_KEY: Final = "discord.commands"


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What :func:`sync_commands` did: whether Discord was told, the hash, and the ids by name."""

    changed: bool
    digest: str
    ids: dict[str, int]


async def command_payload(tree: app_commands.CommandTree[Any]) -> list[dict[str, Any]]:
    """What would be registered, in a stable order."""
    translator = tree.translator
    payload: list[dict[str, Any]] = []
    for command in tree.get_commands():
        if translator is not None:
            payload.append(await command.get_translated_payload(tree, translator))
        else:
            payload.append(command.to_dict(tree))
    return sorted(payload, key=lambda entry: (entry["type"], entry["name"]))


def payload_digest(payload: list[dict[str, Any]], application_id: int | None) -> str:
    """Hash of a payload for one application: another token means other commands."""
    text = json.dumps([application_id, payload], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def stored_ids(state: StateStore, application_id: int | None) -> dict[str, int]:
    """Ids of the commands as they were registered last; empty when they never were for this application."""
    stored = await state.get(STATE_KEY)
    if not isinstance(stored, dict) or stored.get("application") != application_id:
        return {}
    ids = stored.get("ids")
    return {str(name): int(value) for name, value in ids.items()} if isinstance(ids, dict) else {}


async def sync_commands(tree: app_commands.CommandTree[Any], state: StateStore, *, force: bool = False) -> SyncResult:
    """Register the tree's commands with Discord when they differ from what was registered last.

    Args:
        tree: The tree; its client must be logged in.
        state: Where hash and ids are kept.
        force: Register in any case.

    Raises:
        discord.HTTPException, discord.app_commands.CommandSyncFailure: Discord refused; nothing is stored.
    """
    application_id = tree.client.application_id
    digest = payload_digest(await command_payload(tree), application_id)
    stored = await state.get(STATE_KEY)
    if not force and isinstance(stored, dict) and stored.get("digest") == digest:
        return SyncResult(False, digest, await stored_ids(state, application_id))
    registered = await tree.sync()
    ids = {command.name: command.id for command in registered}
    await state.set(STATE_KEY, {"digest": digest, "application": application_id, "ids": ids})
    log.info("commands_registered", count=len(ids))
    return SyncResult(True, digest, ids)
