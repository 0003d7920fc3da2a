"""Sections that may be there many times, each with a name: `[erp.acme]`."""

from pathlib import Path

import pytest

from holdfast.settings.resolve import InvalidSettingsError, resolve
from holdfast.settings.values import shown


def resolved(path: Path, text: str, *sets: str):  # type: ignore[no-untyped-def]
    (path / "holdfast.toml").write_text(text)
    return resolve(path / "holdfast.toml", {}, {}, sets)


def faults(path: Path, text: str, *sets: str) -> list[str]:
    with pytest.raises(InvalidSettingsError) as caught:
        resolved(path, text, *sets)
    return [str(fault).removeprefix(f"{path}/") for fault in caught.value.faults]


def test_each_table_has_its_own_values_and_the_defaults(tmp_path: Path) -> None:
    found = resolved(
        tmp_path,
        '[erp.acme]\nkind = "csv"\ndirectory = "in"\nevery_ms = 500\n[erp.tryton-1]\nkind = "tryton"\n',
        "erp.acme.orders_at_once=7",
    )
    assert list(found.settings.erp) == ["acme", "tryton-1"]
    acme = found.settings.erp["acme"]
    assert (acme.kind, acme.every_ms, acme.orders_at_once, acme.tries_max) == ("csv", 500, 7, 8)
    assert acme.directory == str(tmp_path / "in")
    assert found.settings.erp["tryton-1"].kind == "tryton"
    assert found.changed()["erp.acme.orders_at_once"] == "--set erp.acme.orders_at_once"
    assert found.changed()["erp.acme.every_ms"].endswith("holdfast.toml:4")


def test_without_a_table_there_is_none(tmp_path: Path) -> None:
    assert resolved(tmp_path, "").settings.erp == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[erp.acme]\nkinds = 'csv'\n",
            "holdfast.toml:2: erp.acme.kinds is not a setting; did you mean erp.acme.kind?",
        ),
        (
            "[erp.acme]\nkind = 'sap'\n",
            "holdfast.toml:2: erp.acme.kind cannot be 'sap': it is `csv`, `tryton`, `odoo`, `erpnext` or `python`",
        ),
        ("[erp]\nkind = 'csv'\n", "holdfast.toml:2: erp.kind is in no table: write it below [erp.NAME]"),
        ("[erp.'a b']\nkind = 'csv'\n", "holdfast.toml:1: [erp.a b] needs a name of 1 to 48 letters, digits, - and _"),
        ("[erp.acme]\n", "holdfast.toml:1: [erp.acme] has no settings"),
        ("[erb.acme]\nkind = 'csv'\n", "[erb] is not a section; did you mean [erp.NAME]?"),
        ("[erp.acme]\nevery_ms = 1\n", "holdfast.toml:2: erp.acme.every_ms cannot be 1: it is a whole number (ms)"),
    ],
)
def test_what_is_wrong_in_a_named_table_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in fault for fault in faults(tmp_path, text)), faults(tmp_path, text)


def test_a_secret_of_a_table_is_read_from_a_file_and_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("hf_abc\n")
    secret.chmod(0o600)
    found = resolved(tmp_path, "[erp.acme]\nkey = '@key'\n")
    assert found.settings.erp["acme"].key == "hf_abc"
    assert shown(found.definitions["erp.acme.key"], found.values["erp.acme.key"]) == "***"
    [fault] = faults(tmp_path, "", "erp.acme.key=hf_abc")
    assert "put it into a file (chmod 600)" in fault
    assert "hf_abc" not in fault
