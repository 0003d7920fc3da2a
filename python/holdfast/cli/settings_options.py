"""Options that give settings, for the verbs that work with them.

In: what the command line has. Out: the settings in force, or a CouldNotRunError with every fault. Always: the help text
of an option is that of its setting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from holdfast.cli.console import PATH, CouldNotRunError, existing_directory
from holdfast.settings.catalogue import CONFIG_VARIABLE, DEFINITIONS
from holdfast.settings.definition import Value
from holdfast.settings.resolve import InvalidSettingsError, Resolved, resolve
from holdfast.settings.sources import Fault, UnreadableError

PARTS = (
    "nats",
    "journal",
    "snapshots",
    "owner.key",
    "scope.key",
)  # of a data directory; each gateway leaves one of them
ADVICE = "`holdfast config show --defaults` lists every setting with its bounds; docs/settings.md explains them."


def setting(key: str) -> Parameter:
    """The option of a setting: its help, its variables and its default, all from the definition."""
    one = DEFINITIONS[key]
    default = one.unset or one.default
    # Text in brackets would be read as markup.
    doc = one.doc.replace("[,...]", ",...")
    default_text = "" if default == "none" else f" Default: {default}."
    converter = PATH.converter if one.kind == "path" else None
    return Parameter(
        name=one.flag,
        converter=converter,
        help=f"{doc}{default_text} Variable: {' or '.join(reversed(one.variables))}.",
    )


Config = Annotated[
    Path | None, PATH, Parameter(name="--config", help=f"A TOML file of settings. Variable: {CONFIG_VARIABLE}.")
]
Assignments = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        help="Any setting, as section.name=value; repeatable. It wins over the variables and the file.",
    ),
]
Data = Annotated[Path | None, setting("serve.data")]
Nats = Annotated[str | None, setting("serve.nats")]
Scope = Annotated[str | None, setting("serve.scope")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """How to connect to an external NATS."""

    nats_ca: Annotated[Path | None, setting("log.tls_ca")] = None
    nats_cert: Annotated[Path | None, setting("log.tls_certificate")] = None
    nats_key: Annotated[Path | None, setting("log.tls_key")] = None
    nats_creds: Annotated[Path | None, setting("log.credentials")] = None

    def options(self) -> dict[str, Value]:
        """By the keys of their settings."""
        return {
            "log.tls_ca": text_of(self.nats_ca),
            "log.tls_certificate": text_of(self.nats_cert),
            "log.tls_key": text_of(self.nats_key),
            "log.credentials": text_of(self.nats_creds),
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What `serve` runs, and where."""

    data: Data = None
    port: Annotated[int | None, setting("serve.port")] = None
    host: Annotated[str | None, setting("serve.host")] = None
    auth: Annotated[Literal["on", "off"] | None, setting("serve.auth")] = None
    workers: Annotated[int | None, setting("serve.workers")] = None
    probes: Annotated[str | None, setting("serve.probes")] = None
    nats: Nats = None
    replicas: Annotated[int | None, setting("log.replicas")] = None
    scope: Scope = None
    woo: Annotated[bool, Parameter(negative="", show_default=False), setting("woo.enabled")] = False
    node: Annotated[str | None, setting("serve.node")] = None
    connections_max: Annotated[int | None, setting("gateway.connections_max")] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"] | None, setting("serve.log_level")] = None
    loop: Annotated[Literal["uvloop", "asyncio"] | None, setting("serve.loop")] = None

    def options(self) -> dict[str, Value]:
        """By the keys of their settings."""
        return {
            "serve.data": text_of(self.data),
            "serve.port": self.port,
            "serve.host": self.host,
            "serve.auth": self.auth,
            "serve.workers": self.workers,
            "serve.probes": self.probes,
            "serve.nats": self.nats,
            "log.replicas": self.replicas,
            "serve.scope": self.scope,
            "serve.node": self.node,
            "woo.enabled": self.woo or None,
            "gateway.connections_max": self.connections_max,
            "serve.log_level": self.log_level,
            "serve.loop": self.loop,
        }


def text_of(path: Path | None) -> str | None:
    """A path as a setting has it."""
    return None if path is None else str(path)


def settings_from(
    config: Path | None, options: Mapping[str, Value] | None = None, assignments: Sequence[str] | None = None
) -> Resolved:
    """The settings in force. Raises CouldNotRunError, which names every fault."""
    if options is not None and options.get("serve.nats") == "":
        raise CouldNotRunError(
            "--nats names no server", "Name one, like nats://127.0.0.1:4222, or leave --nats out: then one is started."
        )
    try:
        return resolve(config, options=options, assignments=assignments or ())
    except UnreadableError as error:
        raise CouldNotRunError(str(error), "Name a TOML file that can be read, with --config.") from error
    except InvalidSettingsError as error:
        raise invalid(error.faults) from error


def settings_of_data(config: Path | None, options: Mapping[str, Value]) -> tuple[Path, Resolved]:
    """The data directory, and the settings in force. Raises CouldNotRunError."""
    found = settings_from(config, options)
    if not found.serve.data:
        raise CouldNotRunError(
            "no data directory", "Give --data DIR, HOLDFAST_DATA, or a file whose section [serve] has `data`."
        )
    directory = existing_directory(Path(found.serve.data))
    if not any((directory / name).exists() for name in PARTS):
        raise CouldNotRunError(
            f"there is no log under {directory}, nor a journal", "Give the one that `serve --data` was given."
        )
    return directory, found


def invalid(faults: Sequence[Fault]) -> CouldNotRunError:
    """Every fault, in one line."""
    many = f"{len(faults)} settings are wrong: " if len(faults) > 1 else ""
    return CouldNotRunError(many + "; ".join(map(str, faults)), ADVICE)
