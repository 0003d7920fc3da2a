"""What others may write, or a secret that they may read, is refused, with the command that puts it right."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import run
from holdfast.gateway.keyring import Keyring, KeyringError, KeyStore, Operation
from holdfast.guarded import SECRET, WRITABLE, OpenToOthersError, require_guarded
from holdfast.secret_files import owner_key


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722, 0o1777])
@pytest.mark.parametrize(
    "verb",
    [
        ("serve", "--auth", "off", "--port", "0"),
        ("keys", "list"),
        ("keys", "add", "shop"),
        ("keys", "revoke", "shop"),
        ("verify",),
        ("snapshots",),
        ("state",),
    ],
)
def test_a_directory_that_others_may_write_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], mode: int, verb: tuple[str, ...]
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "journal").mkdir()
    store.chmod(mode)
    assert run([*verb, "--data", str(store)]) == 2
    said = capfd.readouterr().err
    assert f"chmod go-w {store}" in said
    assert sorted(path.name for path in store.iterdir()) == ["journal"]


def test_keys_that_others_may_write_are_no_keys(tmp_path: Path) -> None:
    KeyStore(tmp_path).add("shop", [Operation.READ])
    (tmp_path / "keys.json").chmod(0o660)
    with pytest.raises(KeyringError, match="chmod go-w"):
        Keyring(tmp_path).reload()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_an_owner_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    assert owner_key(tmp_path) == owner_key(tmp_path)
    (tmp_path / "owner.key").chmod(mode)
    with pytest.raises(OpenToOthersError, match="chmod go-rwx"):
        owner_key(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, -1)
    with pytest.raises(OpenToOthersError, match="chown"):
        require_guarded(tmp_path)


@given(mode=st.integers(0, 0o777), forbidden=st.sampled_from([WRITABLE, SECRET]))
def test_exactly_the_forbidden_rights_are_refused(
    tmp_path_factory: pytest.TempPathFactory, mode: int, forbidden: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "guarded"
    file.touch()
    file.chmod(mode)
    if mode & forbidden:
        with pytest.raises(OpenToOthersError):
            require_guarded(file, forbidden)
    else:
        require_guarded(file, forbidden)
