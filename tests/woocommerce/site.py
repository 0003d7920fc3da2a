"""A shop on this machine: WordPress, WooCommerce (or the double), the plugin, on PHP's own server with several workers.

In: a directory, where WordPress and WooCommerce are. Out: a URL; PHP code run inside the shop, as wp-cli would.
Always: a copy of WordPress, nothing of the originals is written to; loopback alone; ended with the block.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent
PHP_FILES = Path(__file__).parent / "php"
PLUGIN = ROOT / "plugins" / "woocommerce"
DEBIAN_WORDPRESS = Path("/usr/share/wordpress")
WORKERS = 8
START_S = 30.0
_PHP = ("php", "-d", "display_errors=0", "-d", "memory_limit=512M")


@dataclass
class Site:
    """A shop that runs."""

    root: Path
    url: str
    log: Path
    pages: dict[str, int] = field(default_factory=dict)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """What a function of php/shop.php returns, in a separate process."""
        return self._run({"call": name, "with": arguments})

    def file(self, name: str, /, **arguments: Any) -> Any:
        """What a file of php/ returns."""
        return self._run({"file": name, "with": arguments})

    def network(self, name: str) -> Any:
        """What a file of php/ returns inside a network of sites, which is made beside this one."""
        for made in ("install", "network-install"):
            self._run({"file": made, "with": {}}, network="install")
        return self._run({"file": name, "with": {}}, network="yes")

    def _run(self, asked: dict[str, Any], network: str = "") -> Any:
        compiled = ("-d", "opcache.enable_cli=1", "-d", f"opcache.file_cache={self.log.parent / 'compiled'}")
        with tempfile.NamedTemporaryFile() as result:
            ran = subprocess.run(
                [*_PHP, *compiled, str(PHP_FILES / "run.php"), str(self.root), result.name],
                input=json.dumps(asked).encode(),
                capture_output=True,
                check=False,
                cwd=self.root,
                env={**os.environ, "SHOP_NETWORK": network},
            )
            text = result.read()
        said = (ran.stdout + ran.stderr).decode() + self.debug()[-2000:]
        assert ran.returncode == 0, said
        assert text, said
        return json.loads(text)

    def debug(self) -> str:
        """What PHP complained of."""
        path = self.root / "debug.log"
        return path.read_text() if path.exists() else ""


def _copy(wordpress: Path, woocommerce: Path, root: Path) -> None:
    root.mkdir()
    (root.parent / "compiled").mkdir()
    for entry in wordpress.iterdir():
        if entry.name not in {"wp-content", "wp-config.php"}:
            copy = shutil.copytree if entry.is_dir() else shutil.copy
            copy(entry, root / entry.name)
    content = root / "wp-content"
    for folder in ("plugins", "mu-plugins", "themes", "uploads"):
        (content / folder).mkdir(parents=True)
    for theme in (wordpress / "wp-content" / "themes").glob("*/"):
        shutil.copytree(theme, content / "themes" / theme.name)
    shutil.copytree(PHP_FILES / "plain-theme", content / "themes" / "plain")
    shutil.copytree(woocommerce, content / "plugins" / "woocommerce", symlinks=True)
    (content / "plugins" / "holdfast-woocommerce").symlink_to(PLUGIN)
    shutil.copy(PHP_FILES / "payment.php", content / "mu-plugins" / "payment.php")
    shutil.copy(PHP_FILES / "wp-config.php", root / "wp-config.php")


@contextmanager
def site(directory: Path, socket: Path, woocommerce: Path, wordpress: Path | None, *, hpos: bool) -> Iterator[Site]:
    """Until the end of the block."""
    port = free_port()
    root = directory / "shop"
    _copy(wordpress or DEBIAN_WORDPRESS, woocommerce, root)
    shop = Site(root, f"http://127.0.0.1:{port}", directory / "php.log")
    (root / "shop.json").write_text(json.dumps({"socket": str(socket), "url": shop.url}))
    shop.file("install")
    for plugin in ("woocommerce/woocommerce.php", "holdfast-woocommerce/holdfast-woocommerce.php"):
        assert shop.file("activate", plugins=[plugin]) == []
    shop.pages = shop.file("open", hpos=hpos)
    with shop.log.open("wb") as log:
        child = subprocess.Popen(
            [
                *_PHP,
                "-d",
                "opcache.enable=1",
                "-S",
                f"127.0.0.1:{port}",
                "-t",
                str(root),
                str(PHP_FILES / "router.php"),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "PHP_CLI_SERVER_WORKERS": str(WORKERS)},
            start_new_session=True,
        )
    try:
        _until_it_answers(shop, child)
        yield shop
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _until_it_answers(shop: Site, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(shop.url + "/", timeout=30) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000] + shop.debug()) from error
        except OSError:
            assert child.poll() is None, shop.log.read_text()
            assert time.monotonic() < deadline, shop.log.read_text()
            time.sleep(0.05)
