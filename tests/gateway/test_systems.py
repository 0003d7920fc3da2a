"""What processes say of their systems, and what a gateway shows of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.gateway.beside import Beside
from holdfast.systems import FOLDER, FORGOTTEN_MS, STALE_MS, System, end, file_of, said, say
from tests.support.gateway import StubNode, ask, listening

NOW_MS = 1_790_000_000_000
names = st.text("abcdefgh -", min_size=1, max_size=12)
states = st.sampled_from(["working", "failing", "resting"])
systems = st.builds(System, names, states, st.text(max_size=400), st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["erp-a", "erp-b", "webhooks", "woo"]), st.lists(systems, max_size=4), max_size=4),
    st.binary(max_size=60),
    st.sampled_from([0, STALE_MS - 5_000, STALE_MS + 60_000, FORGOTTEN_MS * 2]),
)
def test_what_was_said_is_shown_until_its_process_is_silent(
    by_process: dict[str, list[System]], garbage: bytes, later_ms: int
) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        for process, listed in by_process.items():
            say(directory, process, listed)
        (directory / FOLDER).mkdir(exist_ok=True)
        (directory / FOLDER / "strange.json").write_bytes(garbage)
        written_ms = [file_of(directory, one).stat().st_mtime * 1000 for one in by_process]
        found = said(directory, int(max(written_ms, default=0)) + later_ms)
        everything = sorted(one.name for listed in by_process.values() for one in listed)
        if later_ms > FORGOTTEN_MS:
            assert found == []
            return
        assert [one.name for one in found] == everything
        if later_ms > STALE_MS:
            assert {one.state for one in found} <= {"stopped"}
        else:
            stated = sorted((one.name, one.state, one.why[:300]) for listed in by_process.values() for one in listed)
            assert sorted((one.name, one.state, one.why) for one in found) == stated
        for process in by_process:
            end(directory, process)
        assert said(directory) == []


def test_without_a_directory_or_a_disk_nothing_is_shown(tmp_path: Path) -> None:
    assert said(tmp_path / "nowhere") == []
    say(tmp_path / "nowhere", "woo", [System("shop a", "working")])
    seen = Beside()
    seen._look(tmp_path / "nowhere")
    assert (seen.systems, seen.disk_free_bytes) == ([], None)


async def test_the_overview_and_the_metrics_show_it(tmp_path: Path) -> None:
    say(tmp_path, "erp-acme", [System("erp acme", "failing", "it does not answer", 3, 1)])
    async with listening(StubNode()) as (gateway, port):
        beside = gateway.counters.beside
        beside.disk_wanted_bytes = 1
        beside._look(tmp_path)
        shown = (await ask(port, "GET", "/v1/overview")).json
        text = (await ask(port, "GET", "/metrics")).body.decode()
    assert shown["systems"] == [
        {"name": "erp acme", "state": "failing", "why": "it does not answer", "waiting": 3, "parked": 1}
    ]
    assert shown["disk"]["free_bytes"] > 0
    for line in ("holdfast_system_working", "holdfast_system_parked"):
        assert any(line in one and 'system="erp acme"' in one for one in text.splitlines())
    assert "holdfast_disk_free_bytes{" in text
