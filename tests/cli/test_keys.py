"""`holdfast keys`: a secret is shown once and never stored; keys are listed, ended and renewed."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import run
from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyringError, KeyStore, Operation
from tests.support.serving import holdfast

Keys = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keys(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Keys:
    """Run `holdfast keys ...` on a new directory: status, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(["keys", *arguments, "--data", str(tmp_path / "store")])
        out, err = capfd.readouterr()
        return status, out, err

    return call


def found(directory: Path, token: str) -> Any:
    keyring = Keyring(directory / "store")
    keyring.reload()
    return keyring.find(token)


def test_adding_prints_the_secret_alone_on_stdout(tmp_path: Path, keys: Keys) -> None:
    status, out, err = keys("add", "shop", "--operations", "read", "reserve", "--channels", "web")
    assert status == 0
    token = out.strip()
    assert out == token + "\n"
    assert token not in err
    key = found(tmp_path, token)
    assert key.operations == {Operation.READ, Operation.RESERVE}
    assert key.channels == ("web",)
    stored = (tmp_path / "store" / "keys.json").read_text()
    assert token.rpartition("_")[2] not in stored
    assert stat.S_IMODE((tmp_path / "store" / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_lists_may_be_written_with_commas(tmp_path: Path, keys: Keys) -> None:
    _, out, _ = keys("add", "shop", "--operations", "read,reserve,order", "--channels", "web,app")
    key = found(tmp_path, out.strip())
    assert key.operations == {Operation.READ, Operation.RESERVE, Operation.ORDER}
    assert key.channels == ("web", "app")


def test_all_operations_on_all_channels(tmp_path: Path, keys: Keys) -> None:
    _, out, _ = keys("add", "admin", "--operations", "all")
    key = found(tmp_path, out.strip())
    assert key.operations == set(Operation)
    assert key.channels is None


def test_without_operations_a_key_has_what_a_shop_needs(tmp_path: Path, keys: Keys) -> None:
    _, out, _ = keys("add", "shop", "--channels", "web")
    assert found(tmp_path, out.strip()).operations == {Operation.READ, Operation.RESERVE, Operation.ORDER}


def test_machines_get_one_document(keys: Keys) -> None:
    _, out, _ = keys("add", "shop", "--operations", "read", "--expires", "90d", "--rate-per-s", "50", "--json")
    made = json.loads(out)
    assert made["key"].startswith(f"hf_{made['id']}_")
    assert made["state"] == "active"
    assert made["rate_per_s"] == 50
    ends = datetime.fromisoformat(made["expires"])
    assert timedelta(days=89) < ends - datetime.now(UTC) < timedelta(days=91)
    _, out, _ = keys("list", "--json")
    (listed,) = json.loads(out)
    assert listed["name"] == "shop"
    assert "key" not in listed
    assert "secret_sha256" not in listed


def test_a_list_for_people_names_each_key(keys: Keys) -> None:
    keys("add", "shop", "--operations", "read")
    keys("add", "erp", "--operations", "facts", "--source", "acme")
    keys("revoke", "erp")
    status, out, _ = keys("list")
    assert status == 0
    assert "shop" in out
    assert "revoked" in out


def test_an_empty_list_says_how_to_make_one(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "store").mkdir()
    status, _, err = keys("list")
    assert status == 0
    assert "holdfast keys add" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "x", "--operations", "fly"], "fly"),
        (["add", "x", "--operations", "policies", "--channels", "web"], "all channels"),
        (["add", "x", "--operations", "read", "--expires", "2001-01-01T00:00:00Z"], "future"),
        (["add", "x", "--operations", "read", "--expires", "soon"], "neither a time nor a duration"),
        (["add", "", "--operations", "read"], "1 to 128"),
        (["revoke", "nobody"], "nobody"),
        (["rotate", "nobody"], "nobody"),
        (["rotate", "shop", "--overlap", "some"], "is not a duration"),
        (["rotate", "shop", "--overlap", "99999999d"], "at most 36525d"),
        (["add", "x", "--expires", "9" * 5_000 + "d"], "at most 36525d"),
        *((["add", "x", f"--rate-per-s={rate}"], "0.001 to 1,000,000") for rate in ("0", "-1", "nan", "inf", "1e-9")),
        (["add", "x", "--operations", "read", "--channels", "we\nb"], "printable"),
        (["add", "x", "--operations", "read", "--channels", "a" * 129], "printable"),
        (["add", "x\udcff", "--operations", "read"], "printable"),
    ],
)
def test_what_cannot_be_done_is_said_and_exits_with_2(
    tmp_path: Path, keys: Keys, arguments: list[str], words: str
) -> None:
    (tmp_path / "store").mkdir()
    status, out, err = keys(*arguments)
    assert status == 2
    assert out == ""
    assert words in err


def test_a_name_is_free_again_once_its_key_has_ended(keys: Keys) -> None:
    assert keys("add", "shop", "--operations", "read")[0] == 0
    status, _, err = keys("add", "shop", "--operations", "read")
    assert status == 2
    assert "rotate" in err
    assert keys("revoke", "shop")[0] == 0
    assert keys("add", "shop", "--operations", "read")[0] == 0


def test_rotating_gives_a_new_secret_and_ends_the_old_one_later(tmp_path: Path, keys: Keys) -> None:
    _, old, _ = keys("add", "shop", "--operations", "read", "--channels", "web")
    status, new, _ = keys("rotate", "shop", "--overlap", "1h")
    assert status == 0
    before, after = found(tmp_path, old.strip()), found(tmp_path, new.strip())
    assert after.operations == before.operations
    assert after.channels == before.channels
    assert after.ends_at == float("inf")
    assert 3_500 < before.ends_at - datetime.now(UTC).timestamp() < 3_700
    status, newest, _ = keys("rotate", "shop", "--overlap", "0s")
    assert status == 0, "the name means the newest key"
    assert found(tmp_path, new.strip()).ends_at <= datetime.now(UTC).timestamp()
    assert found(tmp_path, newest.strip()).ends_at == float("inf")


def test_who_sends_facts_says_in_whose_name(tmp_path: Path, keys: Keys) -> None:
    status, _, err = keys("add", "erp", "--operations", "facts")
    assert (status, (tmp_path / "store").exists()) == (2, False)
    assert "--source" in err
    _, out, _ = keys("add", "pos", "--operations", "facts", "--source", "pos", "till", "--location", "store-7")
    key = found(tmp_path, out.strip())
    assert (key.sources, key.locations) == ({"pos", "till"}, {"store-7"})
    _, listed, _ = keys("list")
    assert "pos till" in listed
    assert "store-7" in listed


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--operations", "read", "--source", "acme"), "facts"),
        (("--operations", "read", "--location", "W1"), "facts"),
        (("--operations", "facts", "policies", "--source", "acme", "--location", "W1"), "all locations"),
        (("--operations", "facts", "--source", "a.b"), "letters"),
        (("--operations", "facts", "--source", "acme", "--channels", "web"), "all channels"),
    ],
)
def test_bounds_that_bind_nothing_are_refused(tmp_path: Path, keys: Keys, options: tuple[str, ...], why: str) -> None:
    status, _, err = keys("add", "one", *options)
    assert (status, (tmp_path / "store").exists()) == (2, False)
    assert why in err


def test_a_key_gets_other_rights_and_keeps_its_secret(tmp_path: Path, keys: Keys) -> None:
    _, out, _ = keys("add", "erp", "--operations", "facts", "--source", "*")
    status, said, _ = keys("change", "erp", "--source", "acme", "--rate-per-s", "7")
    assert (status, "sources acme" in said) == (0, True)
    key = found(tmp_path, out.strip())
    assert key.sources == {"acme"}
    assert keys("change", "erp")[0] == 2
    assert keys("change", "nobody", "--source", "acme")[0] == 2
    keys("change", "erp", "--operations", "read")
    key = found(tmp_path, out.strip())
    assert (key.operations, key.sources) == ({Operation.READ}, None)


def test_a_damaged_file_is_not_overwritten(tmp_path: Path, keys: Keys) -> None:
    keys("add", "shop", "--operations", "read")
    file = tmp_path / "store" / "keys.json"
    file.write_text("{")
    status, _, err = keys("add", "erp", "--operations", "facts", "--source", "acme")
    assert status == 2
    assert "restore" in err
    assert file.read_text() == "{"


def test_what_cannot_be_a_key_is_refused_before_a_directory_is_made(tmp_path: Path, keys: Keys) -> None:
    for wrong in (["--rate-per-s", "0"], ["--operations", "fly"], ["--expires", "soon"], ["--channels", ""]):
        assert keys("add", "shop", *wrong)[0] == 2
    assert not (tmp_path / "store").exists()


NAMES = st.text(max_size=130) | st.sampled_from(["shop", "\udcff", " ", "*", "a\0b"])
RATES = st.none() | st.floats() | st.sampled_from([0.0, 5e-324, 0.001, 1e6, 1e300])
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC) | st.timezones())


@given(name=NAMES, channels=st.just("*") | st.lists(NAMES, max_size=4), rate=RATES, expires=MOMENTS)
def test_a_key_is_refused_or_can_be_read_again_and_others_stay(
    name: str, channels: str | list[str], rate: float | None, expires: datetime | None
) -> None:
    with TemporaryDirectory() as made:
        directory = Path(made)
        store = KeyStore(directory)
        _, first = store.add("first", [Operation.STATE])
        before = store.path.read_bytes()
        try:
            key, token = store.add(name, [Operation.READ], channels, expires=expires, rate_per_s=rate)
        except KeyringError:
            assert store.path.read_bytes() == before
            token = first
        else:
            assert store.stored()[1:] == [key]
        keyring = Keyring(directory)
        assert keyring.reload()
        assert keyring.find(token) is not None
        assert keyring.find(first) is not None
        assert sorted(path.name for path in directory.iterdir()) == ["keys.json", "keys.lock"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"keys": 1}', '{"keys": [], "version": 2}', '{"keys": [{"id": "a"}]}', '{"keys": [], "more": 1}'],
)
def test_a_gateway_whose_keys_cannot_be_read_does_not_start(tmp_path: Path, content: str) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "keys.json").write_text(content)
    done = holdfast("serve", "--data", str(store), "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert str(store / "keys.json") in done.stderr
    assert "restore it from a copy" in done.stderr
    assert "no keys" not in done.stderr
    assert "no API key" not in done.stderr
    assert [path.name for path in store.iterdir()] == ["keys.json"], "nothing was started"


async def test_a_worker_whose_keys_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(KeyringError, match="restore"):
        await KeyGate(Keyring(tmp_path)).open()
    (tmp_path / "keys.json").unlink()
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(KeyringError, match="cannot be read"):
        await KeyGate(Keyring(tmp_path)).open()


def test_two_keys_of_one_id_are_no_key_file(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add("shop", [Operation.READ])
    content = json.loads(store.path.read_text())
    store.path.write_text(json.dumps({**content, "keys": content["keys"] * 2}))
    with pytest.raises(KeyringError, match="same id"):
        store.stored()


def test_secrets_have_256_bits_and_differ(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    tokens = {store.add(f"key-{number}", [Operation.READ])[1] for number in range(50)}
    assert len(tokens) == 50
    assert all(len(token.split("_", 2)[2]) == 43 for token in tokens)


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="does not exist"):
        KeyStore(tmp_path / "nowhere").add("shop", [Operation.READ])
