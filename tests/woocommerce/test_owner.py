"""What the owner of the shop does and sees: the settings page, Site Health, another language, the end of the plugin."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ports import free_port
from tests.woocommerce.admin import Person
from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import words_of

OWNER = ("owner", "owner")
ROOT = Path(__file__).parents[2]


async def test_the_page_shows_the_settings_but_never_the_key(shop: Shop) -> None:
    async with Person(shop.url, *OWNER) as owner:
        status, page = await owner.page()
        assert (status, shop.keeper.key in page) == (200, False)
        assert shop.keeper.url in page
        assert "A key is stored" in page
        said = await owner.save({"hold_minutes": "45"})
        assert "Settings saved" in said
        stored = shop.site.call("stored_settings")
        assert (stored["hold_minutes"], stored["key"], stored["budget_ms"]) == (45, shop.keeper.key, 3000)
        assert "slowest of five questions" in await owner.test_the_connection(), "the key that is stored still works"


async def test_a_bad_value_is_said_and_protects_nobody_less(shop: Shop) -> None:
    async with Person(shop.url, *OWNER) as owner:
        said = await owner.save(
            {"url": "htp:/nowhere", "hold_minutes": "100000", "budget_ms": "soon", "key": "k\u00e9y"}
        )
        for words in (
            '"htp:/nowhere" is no address of a gateway',
            "Minutes to pay: a whole number from 1 to 240 is needed; it is 240 now.",
            "Milliseconds to wait: a whole number from 20 to 5000 is needed; it is 200 now.",
            "The key had characters that no key has.",
        ):
            assert said.count(words) == 1, (words, said)
        stored = shop.site.call("stored_settings")
        assert (stored["url"], stored["key"]) == (shop.keeper.url, "ky")
        assert "does not know this key" in await owner.test_the_connection()


async def test_only_who_manages_the_shop_has_the_page(shop: Shop) -> None:
    shop.site.call("people")
    async with Person(shop.url, "manager", "manager") as manager:
        assert (await manager.page())[0] == 200
        assert "Settings saved" in await manager.save({"hold_minutes": "31"})
    async with Person(shop.url, "writer", "writer") as writer:
        status, page = await writer.page()
        assert (status, "holdfast_settings" in page) == (403, False)


@pytest.mark.parametrize("fault", ["none", "key", "channel", "down", "address"])
def test_the_connection_test_says_what_is_wrong_and_what_to_do(shop: Shop, fault: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "none": {},
        "key": {"key": "hf_nobody"},
        "channel": {"channel": "elsewhere"},
        "down": {"url": f"http://127.0.0.1:{free_port()}"},
        "address": {"url": f"{shop.keeper.url}/somewhere"},
    }
    words = {
        "none": "the key may do what a checkout needs",
        "key": "holdfast keys add NAME --channels CHANNEL",
        "channel": "The key may not do what a checkout needs",
        "down": "The gateway does not answer as it should",
        "address": "The address or the channel is not right",
    }
    shop.settings(**changes[fault])
    found = shop.site.call("connection")
    assert found["ok"] is (fault == "none")
    assert words[fault] in " ".join(found["lines"]), found
    health = shop.site.call("health")
    assert health["holdfast_gateway"] == ("good" if fault == "none" else "critical")
    assert "hf_" not in health["debug"]


def test_site_health_says_which_products_cannot_be_held(shop: Shop) -> None:
    before = shop.site.call("health_words", name="holdfast_catalogue")
    shop.product(None, woo=3, sku="")
    after = shop.site.call("health_words", name="holdfast_catalogue")
    assert after["status"] == "recommended"
    assert before["words"] != after["words"]
    assert "products with managed stock have no SKU" in after["words"]
    shop.settings(url="")
    assert "no address" in shop.site.call("health_words", name="holdfast_gateway")["label"]


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=300)
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
NAMES = (
    "url",
    "key",
    "channel",
    "fallback",
    "closed_words",
    "writes_stock",
    "budget_ms",
    "hold_minutes",
    "cache_seconds",
)


def test_whatever_is_entered_the_settings_are_within_their_bounds(shop: Shop) -> None:
    forms: list[Any] = []

    @settings(max_examples=300, database=None)
    @given(st.dictionaries(st.sampled_from(NAMES), ANYTHING))
    def collect(form: dict[str, Any]) -> None:
        forms.append(form)

    collect()
    for form, clean in zip(forms, shop.site.call("clean_settings", forms=forms), strict=True):
        assert 20 <= clean["budget_ms"] <= 5000, form
        assert 1 <= clean["hold_minutes"] <= 240, form
        assert 0 <= clean["cache_seconds"] <= 300, form
        assert clean["fallback"] in {"open", "closed"}, form
        assert clean["url"] == "" or clean["url"].startswith(("http://", "https://")), form
        assert 0 < len(clean["channel"]) <= 128, form
        assert all("!" <= one <= "~" for one in clean["key"]), form


def test_a_shop_in_another_language_reads_its_own_words(shop: Shop, tmp_path: Path) -> None:
    if not shutil.which("msgfmt"):
        pytest.skip("needs msgfmt (gettext)")
    template = (ROOT / "plugins/woocommerce/languages/holdfast-woocommerce.pot").read_text()
    english = 'msgid "Test the connection"\nmsgstr ""'
    assert english in template
    catalogue = tmp_path / "fr.po"
    catalogue.write_text(template.replace(english, 'msgid "Test the connection"\nmsgstr "Tester la connexion"'))
    made = tmp_path / "fr.mo"
    subprocess.run(["msgfmt", "--check-format", "-o", made, catalogue], check=True)
    assert shop.site.call("install_french", catalogue=str(made))
    assert shop.site.call("in_french") == "Tester la connexion"


def test_the_end_of_the_plugin_leaves_nothing_on_any_site_of_a_network(shop: Shop) -> None:
    found = shop.site.network("network")
    assert found["sites"] == 2
    assert found["before"] > 0
    assert (found["left"], found["others"]) == ([], ["of_another"] * 2)


def test_the_end_of_the_plugin_leaves_nothing(shop: Shop) -> None:
    product, _ = shop.product(3)
    shop.site.call("mark_product", id=product)
    shop.site.call("leave_something")
    before, left = shop.site.call("uninstall")
    assert before > 0
    assert left == []


async def test_the_pages_of_the_shop_say_when_nothing_is_protected(shop: Shop) -> None:
    shop.settings(url="")
    async with Person(shop.url, *OWNER) as owner:
        assert "protects no checkout yet" in words_of((await owner.page("/wp-admin/plugins.php"))[1])
