"""Members' secrets: sealed to their owner and purpose, re-wrapped when the ring turns."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.keys_cli import rotate_keys
from bot.webhook_role import make_box
from gpuscout.accounts.secret_box import CannotOpen, SecretBox
from storage.engine import Database
from storage.secrets import SecretStore
from tests.webhooks.conftest import settings_for

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
AT = datetime(2026, 1, 1, tzinfo=UTC)
OWNER, PURPOSE = "member:1", "webhook.signing"


@given(st.text(max_size=300))
def test_what_is_sealed_opens(secret: str) -> None:
    box = SecretBox([OLD])
    sealed = box.seal(secret, id="a", owner=OWNER, purpose=PURPOSE)
    assert box.open(sealed, owner=OWNER, purpose=PURPOSE).get_secret_value() == secret
    if len(secret) > 8:
        assert secret not in repr(sealed)


def test_a_copied_row_does_not_open() -> None:
    box = SecretBox([OLD])
    sealed = box.seal("s3cret", id="a", owner=OWNER, purpose=PURPOSE)
    for thief in (
        lambda: box.open(sealed, owner="member:2", purpose=PURPOSE),
        lambda: box.open(sealed, owner=OWNER, purpose="webhook.url"),
        lambda: box.open(replace(sealed, id="b"), owner=OWNER, purpose=PURPOSE),
        lambda: box.open(replace(sealed, box=sealed.box[:-8] + "AAAAAAA="), owner=OWNER, purpose=PURPOSE),
        lambda: box.open(replace(sealed, box="not base64!"), owner=OWNER, purpose=PURPOSE),
        lambda: box.open(replace(sealed, box=""), owner=OWNER, purpose=PURPOSE),
        lambda: SecretBox([NEW]).open(sealed, owner=OWNER, purpose=PURPOSE),
    ):
        with pytest.raises(CannotOpen) as caught:
            thief()
        assert "s3cret" not in str(caught.value)


def test_owner_and_purpose_cannot_flow_into_each_other() -> None:
    box = SecretBox([OLD])
    sealed = box.seal("s", id="a", owner="member:1", purpose="0x")
    with pytest.raises(CannotOpen):
        box.open(sealed, owner="member:10", purpose="x")


def test_rewrapping_leaves_the_ciphertext_and_lets_the_old_key_go() -> None:
    sealed = SecretBox([OLD]).seal("s3cret", id="a", owner=OWNER, purpose=PURPOSE)
    both = SecretBox([NEW, OLD])
    assert both.open(sealed, owner=OWNER, purpose=PURPOSE).get_secret_value() == "s3cret"
    moved = both.rewrap(sealed)
    assert (moved.box, moved.key_id) == (sealed.box, both.key_id)
    assert moved.wrapped_key != sealed.wrapped_key
    assert SecretBox([NEW]).open(moved, owner=OWNER, purpose=PURPOSE).get_secret_value() == "s3cret"


@pytest.mark.parametrize("ring", [[], [b"short"], [OLD, b"x" * 31]])
def test_a_ring_needs_whole_keys(ring: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SecretBox(ring)


async def test_keys_rotate(db_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = "the-first-secret-key", "the-second-secret-key"
    old = make_box(settings_for(db_url, tmp_path, first))
    db = Database(db_url)
    try:
        store = SecretStore(db)
        async with db.write() as conn:
            for number in range(450):
                sealed = old.seal(f"secret {number}", id=f"{number:020d}", owner=OWNER, purpose=PURPOSE)
                await store.add(conn, sealed, AT)
        # Only the new key: nothing can be unwrapped, nothing is touched.
        assert await rotate_keys(settings_for(db_url, tmp_path, second)) == 1
        said = capsys.readouterr()
        assert "450 could not be unwrapped" in said.err
        assert await store.by_key() == {old.key_id: 450}

        ring = settings_for(db_url, tmp_path, f"{second},{first}")
        assert await rotate_keys(ring) == 0
        said = capsys.readouterr()
        new = make_box(ring)
        assert "450 secrets wrapped anew by the newest of 2 keys." in said.out
        assert f"No secret needs {old.key_id} any more" in said.out
        assert await store.by_key() == {new.key_id: 450}
        assert await rotate_keys(ring) == 0
        assert "0 secrets wrapped anew" in capsys.readouterr().out

        alone = make_box(settings_for(db_url, tmp_path, second))
        async with db.read() as conn:
            loaded = await store.load(conn, [f"{number:020d}" for number in (0, 449)])
        opened = [alone.open(one, owner=OWNER, purpose=PURPOSE).get_secret_value() for one in loaded.values()]
        assert sorted(opened) == ["secret 0", "secret 449"]
    finally:
        await db.close()


async def test_nothing_readable_is_stored(db_url: str, tmp_path: Path) -> None:
    """A dump of every table tells neither the secret nor the path of the address."""
    from sqlalchemy import select

    from gpuscout.resilience.public_connect import PUBLIC_ONLY
    from storage.tables import metadata
    from tests.market.helpers import FakeClock
    from tests.webhooks.conftest import ALICE, MINE, open_desk

    assert PUBLIC_ONLY.loopback is False
    async with open_desk(db_url, tmp_path, FakeClock(AT)) as desk:
        url = "https://hooks.example.com/services/T0P-S3CRET"
        made = await desk.webhooks.add(MINE[0], ALICE, url, ["alert.triggered"])
        assert made.secret is not None
        async with desk.parts.db.read() as conn:
            dump = "".join([repr((await conn.execute(select(table))).all()) for table in metadata.sorted_tables])
        assert made.endpoint.id in dump
        assert "T0P-S3CRET" not in dump
        assert made.secret.get_secret_value().removeprefix("whsec_") not in dump
        assert made.secret.get_secret_value() not in repr(made)
