"""Which value is in force: an option over a variable, a variable over the file, the file over the default."""

import json
import string
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.settings import RuleSettings, ServeSettings, Settings
from holdfast.settings.catalogue import DEFINITIONS, OTHER_VARIABLES, SECTIONS
from holdfast.settings.definition import Definition, Value
from holdfast.settings.resolve import InvalidSettingsError, Resolved, resolve

# What other settings bound is left out here: contradictions have their own tests.
FREE = [
    one
    for one in DEFINITIONS.values()
    if one.kind != "path"
    and not one.key.startswith("journal.")
    and one.key
    not in {
        "gateway.body_bytes_max",
        "gateway.facts_body_bytes_max",
        "gateway.bodies_bytes_max",
        "snapshots.trim_batches_min",
        "supervisor.stop_ms",
        "gateway.shutdown_ms",
        "node.drain_ms",
        *("tokens.issuer", "tokens.audience", "tokens.keys", "tokens.algorithms"),
        "reconcile.apply",
    }
]


def values_of(one: Definition) -> st.SearchStrategy[Value]:
    if one.kind == "integer":
        return st.integers(one.lowest, one.highest)
    if one.kind == "boolean":
        return st.booleans()
    if one.choices:
        return st.sampled_from(one.choices)
    if one.key == "serve.probes":
        return st.integers(1, 65_535).map("127.0.0.1:{}".format)
    if one.pattern and one.section != "serve":
        return st.from_regex(one.pattern, fullmatch=True)
    words = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=20)
    return words.map("nats://{}".format) if one.key == "serve.nats" else words


def written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_toml(values: dict[str, Value]) -> str:
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for key, value in values.items():
            part, name = key.split(".")
            if part == section:
                lines.append(f"{name} = {json.dumps(value) if isinstance(value, str) else written(value)}")
    return "\n".join(lines)


mixes = st.lists(st.sampled_from(FREE), max_size=12, unique_by=lambda one: one.key).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {one.key: st.tuples(*(st.none() | values_of(one) for _ in ("file", "variable", "option"))) for one in chosen}
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(mix=mixes)
def test_any_mix_of_file_variable_and_option_gives_the_documented_value(tmp_path: Path, mix: dict[str, Any]) -> None:
    file, variables, options = (
        {key: three[at] for key, three in mix.items() if three[at] is not None} for at in range(3)
    )
    path = tmp_path / "holdfast.toml"
    path.write_text(as_toml(file))
    environment = {DEFINITIONS[key].variable: written(value) for key, value in variables.items()}
    found = resolve(path, environment, {}, [f"{key}={written(value)}" for key, value in options.items()])
    for key, one in DEFINITIONS.items():
        wanted, kind = one.default, "default"
        for name, layer in (("file", file), ("variable", variables), ("option", options)):
            if key in layer:
                wanted, kind = layer[key], name
        assert (found.values[key], found.origins[key].kind) == (wanted, kind)
        assert in_force(found, one) == wanted


def in_force(found: Resolved, one: Definition) -> Value:
    """As the rest of the code reads it."""
    part = found.serve if one.section == "serve" else getattr(found.settings, one.section)
    value: Value = getattr(part, one.name)
    return value


def test_without_any_source_all_is_as_the_definitions_have_it() -> None:
    found = resolve(environment={})
    assert (found.settings, found.serve, found.changed()) == (Settings(), ServeSettings(), {})


def test_the_place_of_each_value_is_known(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text("# ours\n[gateway]\n\nkeepalive_ms = 1_000\nbacklog = 7\n")
    environment = {"HOLDFAST_GATEWAY_BACKLOG": "8", "HOLDFAST_NODE": "n5", "HOLDFAST_CONFIG": str(path)}
    found = resolve(None, environment, {"serve.port": 81}, ["rules.renewals_max=9"])
    assert found.file == path
    assert found.changed() == {
        "gateway.keepalive_ms": f"{path}:4",
        "gateway.backlog": "HOLDFAST_GATEWAY_BACKLOG",
        "serve.node": "HOLDFAST_NODE",
        "serve.port": "--port",
        "rules.renewals_max": "--set rules.renewals_max",
    }
    assert found.settings.rules == RuleSettings(renewals_max=9)


def test_the_option_names_another_file_than_the_variable(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("serve.port = 1")
    other.write_text("serve = { port = 2 }")
    assert resolve(one, {"HOLDFAST_CONFIG": str(other)}).serve.port == 1
    assert resolve(None, {"HOLDFAST_CONFIG": str(other)}).serve.port == 2
    assert resolve(None, {"HOLDFAST_CONFIG": ""}).serve.port == 8080


def test_an_empty_variable_counts_as_not_set() -> None:
    assert resolve(environment={"HOLDFAST_NATS": "", "HOLDFAST_SERVE_PORT": ""}).changed() == {}


def test_both_names_of_a_variable_may_say_the_same_and_nothing_else() -> None:
    same = {"HOLDFAST_NODE": "n2", "HOLDFAST_SERVE_NODE": "n2"}
    assert resolve(environment=same).serve.node == "n2"
    with pytest.raises(InvalidSettingsError, match=r"serve\.node has another value from HOLDFAST_NODE"):
        resolve(environment=same | {"HOLDFAST_SERVE_NODE": "n3"})


def test_a_path_in_a_file_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    path = tmp_path / "holdfast.toml"
    path.write_text('[log]\ntls_ca = "ca.pem"\n[serve]\ndata = "/var/lib/holdfast"\n')
    found = resolve(path, {})
    assert found.settings.log.tls_ca == str(tmp_path / "ca.pem")
    assert found.serve.data == "/var/lib/holdfast"


def test_serve_derives_what_nobody_set() -> None:
    several = {"HOLDFAST_DATA": "d", "HOLDFAST_NATS": "nats://a:4222,nats://b:4222"}
    derived = resolve(environment=several).for_serve()
    assert (derived.settings.log.replicas, derived.settings.snapshots.shared) == (3, True)
    assert derived.changed()["log.replicas"] == "derived from serve.nats"
    said = several | {"HOLDFAST_LOG_REPLICAS": "1", "HOLDFAST_SNAPSHOTS_SHARED": "false"}
    assert resolve(environment=said).for_serve().settings.log.replicas == 1
    assert resolve(environment=said).for_serve().settings.snapshots.shared is False
    alone = resolve(environment={"HOLDFAST_DATA": "d"}).for_serve()
    assert (alone.settings.log.replicas, alone.settings.snapshots.shared) == (1, False)


def test_names_are_unambiguous() -> None:
    variables = [name for one in DEFINITIONS.values() for name in one.variables]
    assert len(variables) == len(set(variables))
    assert not OTHER_VARIABLES & set(variables)
    flags = [one.flag for one in DEFINITIONS.values() if one.flag]
    assert len(flags) == len(set(flags))
    for cls in SECTIONS.values():
        assert all(one.name == one.name.lower() for one in fields(cls))
