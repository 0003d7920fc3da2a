"""What is wrong in a file, a variable or an option is named, all of it at once, and nothing is made of it."""

import os
from pathlib import Path

import pytest

from holdfast.settings.catalogue import DEFINITIONS
from holdfast.settings.definition import Definition
from holdfast.settings.resolve import InvalidSettingsError, resolve
from holdfast.settings.sources import FILE_BYTES_MAX, UnreadableError, read_variables

BOUNDED = [one for one in DEFINITIONS.values() if one.lowest is not None]


def faults_of(
    text: str = "", tmp_path: Path | None = None, environment: dict[str, str] | None = None, sets: tuple[str, ...] = ()
) -> list[str]:
    path = None
    if tmp_path is not None:
        path = tmp_path / "holdfast.toml"
        path.write_text(text)
    with pytest.raises(InvalidSettingsError) as caught:
        resolve(path, environment or {}, {}, sets)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in caught.value.faults]


@pytest.mark.parametrize("one", BOUNDED, ids=lambda one: one.key)
def test_each_bound_is_refused_beyond_and_taken_at_it(one: Definition, tmp_path: Path) -> None:
    assert one.lowest is not None
    assert one.highest is not None
    assert isinstance(one.default, int)
    assert one.lowest <= one.default <= one.highest
    for beyond in (one.lowest - 1, one.highest + 1):
        [fault] = faults_of(environment={one.variable: str(beyond)})
        assert fault.startswith(f"{one.variable}: {one.key} cannot be {beyond}: it is a whole number")
        assert f" {one.lowest}" in fault
        assert f" {one.highest}" in fault
        [same] = faults_of(f"[{one.section}]\n{one.name} = {beyond}\n", tmp_path)
        assert same.startswith(f"holdfast.toml:2: {one.key} cannot be {beyond}")
    for at in (one.lowest, one.highest):
        # Beside the defaults of others it may be a contradiction, but not out of bounds.
        source = read_variables({one.variable: str(at)})
        assert (source.faults, source.values[one.key][0]) == ([], at)


def test_every_fault_of_every_source_is_named_with_its_place(tmp_path: Path) -> None:
    text = """\
port = 80

[gateway]
keepalive = 3
backlog = 1.5
headers_max = true

[gatway]
x = 1

[rules]
renewals_max = "5"
create_unknown_skus = 1
"""
    environment = {"HOLDFAST_GATEWAY_KEEPALIVE": "1", "HOLDFAST_RULES_CREATE_UNKNOWN_SKUS": "perhaps"}
    hint = "(ms from 100 to 3600000 (1 h))?"
    assert faults_of(text, tmp_path, environment, ("node.drain=1", "node.drain_ms", "rules.renewals_max=x")) == [
        "holdfast.toml:1: port is in no section; did you mean `port` in [serve]?",
        f"holdfast.toml:4: gateway.keepalive is not a setting; did you mean gateway.keepalive_ms {hint}",
        "holdfast.toml:5: gateway.backlog cannot be 1.5: it is a whole number (connections) from 1 to 65535",
        "holdfast.toml:6: gateway.headers_max cannot be true: it is a whole number (headers) from 16 to 1000",
        "holdfast.toml:8: [gatway] is not a section; did you mean [gateway]?",
        "holdfast.toml:12: rules.renewals_max cannot be '5': it is a whole number (times) from 0 to 1000000",
        "holdfast.toml:13: rules.create_unknown_skus cannot be 1: it is true or false",
        f"HOLDFAST_GATEWAY_KEEPALIVE: this is not a setting; did you mean HOLDFAST_GATEWAY_KEEPALIVE_MS {hint}",
        "HOLDFAST_RULES_CREATE_UNKNOWN_SKUS: rules.create_unknown_skus cannot be 'perhaps': it is true or false",
        "--set node.drain: node.drain is not a setting; did you mean node.drain_ms (ms from 0 to 600000 (10 min))?",
        "--set node.drain_ms: write it as section.name=value",
        "--set rules.renewals_max: rules.renewals_max cannot be 'x': it is a whole number (times) from 0 to 1000000",
    ]


def test_what_is_overridden_is_checked_all_the_same(tmp_path: Path) -> None:
    [fault] = faults_of("[serve]\nport = -1\n", tmp_path, sets=("serve.port=80",))
    assert fault.startswith("holdfast.toml:2: serve.port cannot be -1")


def test_what_is_internal_cannot_be_set(tmp_path: Path) -> None:
    [fault] = faults_of("[node]\nlease_margin_ms = 1\n", tmp_path)
    assert "node.lease_margin_ms is not a setting" in fault


def test_a_name_in_the_wrong_section_is_shown_the_right_one(tmp_path: Path) -> None:
    [fault] = faults_of("[node]\nkeepalive_ms = 1\n", tmp_path)
    assert "did you mean gateway.keepalive_ms" in fault


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[gateway]\nkeepalive_ms = \n", "holdfast.toml:2: not TOML"),
        ("[gateway]\nbacklog = 1\nbacklog = 2\n", "holdfast.toml:3: not TOML"),
        ("[gateway]\n[gateway.keepalive_ms]\nx = 1\n", "holdfast.toml:2: gateway.keepalive_ms cannot be"),
        ("gateway = 5\n", "holdfast.toml:1: gateway is a section, written as [gateway]"),
        ("gateway.keepalive_ms = 'x'\n", "holdfast.toml:1: gateway.keepalive_ms cannot be 'x'"),
        ("[[rules]]\nx = 1\n", "holdfast.toml:1: rules is a section, written as [rules]"),
    ],
)
def test_odd_toml_is_named_by_its_line(tmp_path: Path, text: str, where: str) -> None:
    assert faults_of(text, tmp_path)[0].startswith(where)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"[serve]\nnode = '\xff'\n")
    with pytest.raises(InvalidSettingsError, match="byte 16 is not UTF-8"):
        resolve(path, {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UnreadableError, match="cannot be read"):
            resolve(path, {})
    large = tmp_path / "large.toml"
    large.write_text("#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(UnreadableError, match="larger than"):
        resolve(large, {})
    closed = tmp_path / "closed.toml"
    closed.touch(mode=0)
    if os.geteuid() != 0:  # root reads it all the same
        with pytest.raises(UnreadableError, match="Permission denied"):
            resolve(closed, {})


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("supervisor.stop_ms=20000",), "supervisor.stop_ms (20000 (20 s), --set supervisor.stop_ms) is not more than"),
        (("node.drain_ms=12000",), "supervisor.stop_ms (22000 (22 s), default) is not more than"),
        (("gateway.bodies_bytes_max=1048576",), "gateway.facts_body_bytes_max (8388608 (8 MiB), default) is more than"),
        (("journal.bytes_max=67108864",), "is less than twice journal.segment_bytes_max"),
        (("snapshots.trim_batches_min=1", "snapshots.every_batches=0"), "takes none"),
        (("snapshots.trim_batches_min=1", "snapshots.retained=1"), "below the second newest snapshot"),
        (("log.tls_ca=absent.pem",), "there is no file absent.pem"),
        (("log.tls_key=README.md",), "needs log.tls_certificate, which is not set"),
    ],
)
def test_values_that_contradict_each_other(sets: tuple[str, ...], said: str) -> None:
    faults = faults_of(sets=sets)
    assert any(said in fault for fault in faults), faults


def test_replicas_without_a_cluster_are_refused_where_serve_would_start_its_own_server() -> None:
    found = resolve(environment={"HOLDFAST_DATA": "d", "HOLDFAST_LOG_REPLICAS": "3"})
    with pytest.raises(InvalidSettingsError, match=r"HOLDFAST_LOG_REPLICAS: log\.replicas is for a NATS cluster"):
        found.for_serve()


@pytest.mark.parametrize(
    "name",
    [
        "HOLDFAST_GATEWAY",
        "HOLDFAST_KEY",
        "HOLDFAST_PORT",
        "HOLDFAST_PORT_8080_TCP_ADDR",
        "HOLDFAST_GATEWAY_SERVICE_HOST",
        "HOLDFAST_GATEWAY_PORT_8080_TCP",
        "HOLDFAST_IMAGE_TAG",
    ],
)
def test_a_variable_that_is_not_for_us_is_no_fault(name: str) -> None:
    found = resolve(environment={name: "tcp://10.0.0.1:8080"})
    assert found.changed() == {}
    assert list(found.ignored) == ([] if name in {"HOLDFAST_GATEWAY", "HOLDFAST_KEY"} else [name])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HOLDFAST_GATWAY_KEEPALIVE_MS", "HOLDFAST_GATEWAY_KEEPALIVE_MS"),
        ("HOLDFAST_RULES_RENEWAL_MAX", "HOLDFAST_RULES_RENEWALS_MAX"),
        ("HOLDFAST_NATS_CERTS", "HOLDFAST_NATS_CERT"),
    ],
)
def test_a_misspelt_variable_is_a_fault(name: str, meant: str) -> None:
    [fault] = faults_of(environment={name: "1"})
    assert fault.startswith(f"{name}: this is not a setting; did you mean {meant}")


def test_no_password_is_shown() -> None:
    from holdfast.nats_server.users import new_seed
    from holdfast.settings.values import as_text, shown

    one = DEFINITIONS["serve.nats"]
    for given in (
        "nats://node:s3cret@a:4222,nats://b:4222",
        "node:s3cret@a:4222",
        "nats://s3:cret@[x",
        "tls://a:s3@cret@h",
    ):
        assert "cret" not in str(shown(one, given)).replace("@cret@", "")
        assert "s3cret" not in as_text(one, given)
    assert shown(one, "nats://node:s3cret@a:4222,nats://b:4222") == "nats://node:***@a:4222,nats://b:4222"
    seed = new_seed()
    assert shown(one, f"nats://{seed}@a:4222,tls://{seed}@b:4222") == "nats://***@a:4222,tls://***@b:4222"
    [fault] = faults_of(environment={"HOLDFAST_NATS": " , "})
    assert "cannot be this value" in fault
