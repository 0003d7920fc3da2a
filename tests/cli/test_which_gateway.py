"""The gateway that is named is called, or none: what is said of one shop never ends up in another."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.cli import run
from holdfast.cli.connection import DEFAULT_URL, url_of
from holdfast.cli.console import CouldNotRunError
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.serving import running_gateway

LEVELS = "sku,location,on_hand\nMUG,paris,5\n"
VERBS = [
    ["state"],
    ["explain", "MUG", "--channel", "web"],
    ["import", "FILE", "--source", "acme"],
    ["import", "FILE", "--source", "acme", "--check"],
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnGateway]:
    with running_gateway(tmp_path_factory.mktemp("shop")) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLDFAST_GATEWAY", "HOLDFAST_DATA"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def answering(status: int, body: bytes = b"<html>hello</html>", location: str = "") -> Iterator[str]:
    """A web server that is no gateway."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location + self.path)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - what the base class calls

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def could_not(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = tmp_path / "levels.csv"
    file.write_text(LEVELS)
    assert run([str(file) if word == "FILE" else word for word in line]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    return err


@pytest.mark.parametrize("verb", VERBS)
def test_a_data_directory_that_nobody_serves_is_an_error_and_no_other_shop_is_called(
    shop: OwnGateway,
    verb: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setattr("holdfast.cli.connection.DEFAULT_URL", shop.url)
    assert f"no gateway runs on {store}" in could_not([*verb, "--data", str(store)], tmp_path, capsys)
    monkeypatch.setenv("HOLDFAST_GATEWAY", shop.url)
    assert f"no gateway runs on {store}" in could_not([*verb, "--data", str(store)], tmp_path, capsys)
    monkeypatch.delenv("HOLDFAST_GATEWAY")
    monkeypatch.setenv("HOLDFAST_DATA", str(store))
    assert f"no gateway runs on {store}" in could_not(verb, tmp_path, capsys)
    assert not any(store.iterdir())
    assert run(["explain", "MUG", "--channel", "web", "--gateway", shop.url]) == 2, "nothing was imported there"


def test_an_option_wins_over_variables_and_two_options_are_one_too_many(
    shop: OwnGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert url_of(None, None) == DEFAULT_URL
    assert url_of(None, shop.directory) == shop.url
    monkeypatch.setenv("HOLDFAST_GATEWAY", "http://127.0.0.1:9")
    monkeypatch.setenv("HOLDFAST_DATA", str(shop.directory))
    assert url_of(None, None) == "http://127.0.0.1:9"
    assert url_of(None, shop.directory) == shop.url
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path))
    assert url_of("http://127.0.0.1:7/", None) == "http://127.0.0.1:7"
    with pytest.raises(CouldNotRunError, match="both name a gateway"):
        url_of(shop.url, shop.directory)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_what_is_no_gateway_is_said_so(
    verb: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status) as url:
        assert "is not a holdfast gateway" in could_not([*verb, "--gateway", url], tmp_path, capsys)


def test_a_redirect_does_not_lead_to_another_gateway(
    shop: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in (301, 302, 307, 308):
        with answering(status, location=shop.url) as url:
            assert "is not a holdfast gateway" in could_not(["state", "--gateway", url], tmp_path, capsys)


def test_what_does_not_even_answer_in_http_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    found, _ = server.accept()
                except OSError:
                    return
                found.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                found.close()

        thread = threading.Thread(target=greet)
        thread.start()
        said = could_not(["state", "--gateway", f"http://127.0.0.1:{server.getsockname()[1]}"], tmp_path, capsys)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "did not answer" in said
