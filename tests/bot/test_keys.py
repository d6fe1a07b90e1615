"""The secret ring: made once, kept whole, refused when it cannot protect."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.keys import SecretKeyMissing, derive, secret_ring
from config.settings import Settings


def settings_of(folder: Path, **values: object) -> Settings:
    return Settings(_env_file=None, data_dir=folder, **values)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    ring = secret_ring(settings_of(folder))
    assert ring == secret_ring(settings_of(folder)) and len(ring[0]) >= 32
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_write_that_was_cut_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bot.keys.os.fsync", full)
        with pytest.raises(OSError, match="no space"):
            secret_ring(settings_of(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert len(secret_ring(settings_of(tmp_path))[0]) >= 32


def test_two_starts_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second process made its secret between our look and our write.
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    first = secret_ring(settings_of(tmp_path))
    assert secret_ring(settings_of(tmp_path)) == first


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_bytes(b"short\n")
    with pytest.raises(SecretKeyMissing, match="secret_key is damaged"):
        secret_ring(settings_of(tmp_path))


def test_the_setting_is_a_ring(tmp_path: Path) -> None:
    ring = secret_ring(settings_of(tmp_path, secret_key=" new-secret-of-16-chars , old-secret-of-16-chars,"))
    assert ring == (b"new-secret-of-16-chars", b"old-secret-of-16-chars")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("secret", ["short", "long-enough-secret-1,short", ","])
def test_a_weak_secret_is_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SecretKeyMissing, match="at least 16"):
        secret_ring(settings_of(tmp_path, secret_key=secret))


def test_processes_that_share_a_database_must_share_the_secret(tmp_path: Path) -> None:
    with pytest.raises(SecretKeyMissing, match="set SECRET_KEY"):
        secret_ring(settings_of(tmp_path, database_url="postgresql+asyncpg://db/scout"))


def test_derived_keys_differ_by_purpose_and_secret() -> None:
    keys = {derive((secret,), purpose) for secret in (b"a" * 16, b"b" * 16) for purpose in ("usage", "keys")}
    assert len(keys) == 4 and {len(key) for key in keys} == {32}
    assert derive((b"a" * 16, b"b" * 16), "usage") == derive((b"a" * 16,), "usage")
