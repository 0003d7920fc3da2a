"""People of the shop at wp-admin, as their browsers talk to it.

In: a shop's URL; a login. Out: pages, and what a form came to. Always: plain requests with the page's own nonces.
"""

import html
import re
from typing import Any, Self

import aiohttp

from tests.woocommerce.shoppers import TIMEOUT, words_of

PAGE = "/wp-admin/admin.php?page=holdfast"


class Person:
    """Somebody who is logged in."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self.url, self.login, self.password = url, login, password

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.http.cookie_jar.update_cookies({"wordpress_test_cookie": "WP%20Cookie%20check"})
        form = {"log": self.login, "pwd": self.password, "testcookie": "1", "redirect_to": f"{self.url}{PAGE}"}
        async with self.http.post(f"{self.url}/wp-login.php", data=form, allow_redirects=False) as answer:
            assert answer.status == 302, words_of(await answer.text())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def page(self, path: str = PAGE) -> tuple[int, str]:
        """Status and source."""
        async with self.http.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def save(self, values: dict[str, Any]) -> str:
        """`Save Changes` with the page's other fields as they are; the words of the page that comes."""
        _, page = await self.page()
        form = fields_of(page, "options.php")
        form |= {
            name if name.startswith("holdfast_settings") else f"holdfast_settings[{name}]": value
            for name, value in values.items()
        }
        async with self.http.post(f"{self.url}/wp-admin/options.php", data=form) as answer:
            assert answer.status == 200
            return words_of(await answer.text())

    async def test_the_connection(self) -> str:
        """The button; the words of the page that comes."""
        _, page = await self.page()
        async with self.http.post(self.url + PAGE, data=fields_of(page, None)) as answer:
            return words_of(await answer.text())


def fields_of(page: str, action: str | None) -> dict[str, str]:
    """What a form of the page sends: the one with this action, or the one without any."""
    for form in re.findall(r"(?s)<form method=\"post\".*?</form>", page):
        head = form.partition(">")[0]
        if (f'action="{action}"' in head) if action else "action=" not in head:
            return _inputs(form)
    raise AssertionError(words_of(page)[-1500:])


def _inputs(form: str) -> dict[str, str]:
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = dict(re.findall(r"([\w-]+)=[\"']([^\"']*)[\"']", tag))
        if "name" in given and (given.get("type") != "checkbox" or "checked" in tag):
            found[given["name"]] = html.unescape(given.get("value", ""))
    for name, content in re.findall(r"(?s)<textarea[^>]*name=\"([^\"]*)\"[^>]*>(.*?)</textarea>", form):
        found[name] = html.unescape(content)
    for name, options in re.findall(r"(?s)<select[^>]*name=\"([^\"]*)\"[^>]*>(.*?)</select>", form):
        chosen = re.search(r"value=\"([^\"]*)\"\s+selected", options)
        found[name] = chosen[1] if chosen else ""
    return found
