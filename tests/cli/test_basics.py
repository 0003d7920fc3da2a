"""The command line teaches, fails clearly, and keeps results apart from everything else."""

import pytest

from holdfast.cli import VERBS
from tests.support.serving import holdfast

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def test_without_arguments_it_says_what_it_can_do() -> None:
    done = holdfast()
    assert done.returncode == 0
    said = " ".join(done.stdout.replace("│", " ").split())
    for verb, (_, does) in VERBS.items():
        assert f"{verb} {does}" in said
    assert "Exit status: 0 done, 1 found something wrong, 2 could not run" in " ".join(done.stdout.split())


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str) -> None:
    done = holdfast(verb, "--help")
    assert done.returncode == 0
    assert "Usage: holdfast " + verb in done.stdout
    assert f"holdfast {verb}" in done.stdout.split("Usage:", 1)[1], "an example"


@pytest.mark.parametrize(
    "arguments",
    [("bogus",), ("state", "--bogus"), ("rehearse",), ("rehearse", "x.csv", "--short", "101"), ("explain", "A")],
)
def test_a_command_line_that_makes_no_sense_could_not_run(arguments: tuple[str, ...]) -> None:
    done = holdfast(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("state",), ("explain", "A", "--channel", "web")])
def test_a_gateway_that_is_not_there_is_named_with_what_to_do(arguments: tuple[str, ...]) -> None:
    done = holdfast(*arguments, "--gateway", NOBODY)
    assert (done.returncode, done.stdout) == (2, "")
    assert NOBODY in done.stderr
    assert "holdfast serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_failure() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m holdfast import --template | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
