"""Names that others chose are shown as they are: no markup, no link, no escape sequence, and no crash."""

import asyncio
import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from holdfast.cli import run
from holdfast.cli.console import PlainConsole
from holdfast.cli.explain import _waterfall
from holdfast.cli.get_view import table_of
from holdfast.contracts.answers import AnswerFreshness, Explanation, Term
from holdfast.contracts.listings import SourceEntry
from holdfast.gateway.keyring import KeyStore, Operation
from holdfast.visible import visible
from tests.support.served import Api, level
from tests.support.serving import holdfast, running_gateway

HOSTILE = [
    "[link=https://evil.example]MUG[/link]",
    "[/bold]",
    "[red]",
    ":smile:",
    "\x1b[2J\x1b]8;;https://evil.example\x07MUG",
    "\u009b31m",
    "\u202eGUM",
    "a\rb",
    "\udc80",
    "\u2028",
]
OWN_CODES = re.compile(r"\x1b\[[0-9;]*m")
texts = st.text(st.characters(), max_size=60) | st.sampled_from(HOSTILE)


def on_a_terminal(*parts: object) -> str:
    """What a terminal is sent, without the console's own colours."""
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, color_system="truecolor", width=10_000)
    for part in parts:
        console.print(part, style="bold")
    return OWN_CODES.sub("", file.getvalue())


def assert_plain(shown: str) -> None:
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = [one for one in shown if unicodedata.category(one) in hidden and one not in "\n\t\u200c\u200d"]
    assert found == []


@given(texts)
@example("[link=x]y[/link]")
def test_any_text_is_shown_without_effect(text: str) -> None:
    table = Table("name", text, title=text)
    table.add_row(text, Text(text))
    shown = on_a_terminal(text, Text(text), table)
    assert_plain(shown)
    if text.isascii() and text.isprintable() and text.strip() == text:
        assert shown.count(text) >= 5, "nothing of it was taken for markup"


@given(sku=texts, channel=texts, rule=texts)
def test_a_waterfall_of_any_names_is_plain(sku: str, channel: str, rule: str) -> None:
    term = Term(name="on_hand", quantity=1, location=sku, rule=rule, channel=channel, component=sku, document=rule)
    as_of = AnswerFreshness(sequence=1, age_ms=0, mode="live")
    found = Explanation(sku=sku, channel=channel, sellable=1, terms=[term], deficits=[], as_of=as_of)
    assert_plain(on_a_terminal(_waterfall(found)))


@given(texts)
def test_a_list_of_any_names_is_plain(name: str) -> None:
    entry = SourceEntry(source=name, clock="time", locations=[name], last_as_of=None, age_ms=None)
    columns = [("source", lambda one: one.source), (name, lambda one: [one.source])]
    assert_plain(on_a_terminal(table_of(columns, [entry], name)))


@given(texts)
def test_what_is_escaped_may_stand_in_json(text: str) -> None:
    if not any("\ud800" <= one <= "\udfff" for one in text):
        document = visible(json.dumps({"sku": text}, ensure_ascii=False))
        assert json.loads(document)["sku"] == text


@pytest.mark.parametrize("name", ["[/bold]", "[link=https://evil.example]shop[/link]", ":warning:"])
def test_a_key_of_any_name_is_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    KeyStore(tmp_path).add(name, [Operation.READ])
    assert run(["keys", "list", "--data", str(tmp_path)]) == 0
    assert name in capfd.readouterr().out


def test_the_verbs_show_what_a_gateway_has(tmp_path: Path) -> None:
    sku = "[/MUG] [link=https://evil.example]x[/link]"

    async def stock(url: str) -> None:
        api = Api(int(url.rpartition(":")[2]))
        await api.policies({"kind": "location", "location": "[W1]"})
        await api.facts(level(sku, 3, "[W1]"))

    (tmp_path / "levels.csv").write_text(f"sku,location,on_hand\n{sku},[/W2],1\n")
    with running_gateway(tmp_path / "own") as gateway:
        asyncio.run(stock(gateway.url))
        for arguments, status, shown in (
            (("explain", sku, "--channel", "[web]"), 0, sku),
            (("get", "skus"), 0, sku),
            (("get", "sku", sku), 0, sku),
            (("get", "locations"), 0, "[W1]"),
            (("import", str(tmp_path / "levels.csv"), "--source", "acme"), 1, "unknown-location"),
        ):
            found = holdfast(*arguments, "--gateway", gateway.url)
            assert found.returncode == status, found.stderr
            assert shown in found.stdout
