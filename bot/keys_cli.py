"""``gpuscout keys rotate``: wraps members' secrets with the newest key of ``SECRET_KEY``."""

from __future__ import annotations

import typer

from bot.keys import SecretKeyMissing, secret_ring
from bot.webhook_role import make_box
from config.settings import Settings
from storage.engine import Database
from storage.secrets import Sealed, SecretStore


async def rotate_keys(settings: Settings) -> int:
    """Re-wrap every stored secret that an earlier key wraps, then say what each key still wraps.

    The secrets themselves are neither decrypted nor changed. Safe to repeat, to interrupt, and to run beside the
    product.

    Returns:
        0, or 1 when some secrets could not be unwrapped: their key is no longer in ``SECRET_KEY``.
    """
    try:
        ring = secret_ring(settings)
    except SecretKeyMissing as error:
        typer.echo(f"gpuscout: {error}", err=True)
        return 1
    box = make_box(settings)
    db = Database(settings.database_url)
    closed: list[str] = []

    def failed(sealed: Sealed, _error: Exception) -> None:
        closed.append(sealed.key_id)

    try:
        store = SecretStore(db)
        done = await store.rewrap(box.key_id, box.rewrap, failed)
        counts = await store.by_key()
    finally:
        await db.close()
    typer.echo(f"{done} secret{'' if done == 1 else 's'} wrapped anew by the newest of {len(ring)} keys.")
    for key_id, count in sorted(counts.items(), key=lambda pair: pair[0] != box.key_id):
        name = "newest key" if key_id == box.key_id else "earlier key" if key_id in box.key_ids else "unknown key"
        typer.echo(f"  {name} {key_id}: {count}")
    earlier = [key_id for key_id in box.key_ids[1:] if not counts.get(key_id)]
    if closed:
        typer.echo(
            f"gpuscout: {len(closed)} could not be unwrapped: put their key ({', '.join(sorted(set(closed)))}) back "
            "into SECRET_KEY and run this again",
            err=True,
        )
        return 1
    if earlier:
        typer.echo(f"No secret needs {', '.join(earlier)} any more: it may leave SECRET_KEY once every process knows.")
    return 0
