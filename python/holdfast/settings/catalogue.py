"""Every setting that a user can set, found by its key or its environment variable.

In: a name as a user wrote it. Out: its definition, or the nearest name that exists. Always: the order is that of the
documents: what a user needs first comes first.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from holdfast.settings import (
    DegradedSettings,
    ErpSettings,
    EventSettings,
    GatewaySettings,
    JournalSettings,
    LogSettings,
    NodeSettings,
    PublisherSettings,
    ReconcileSettings,
    RetentionSettings,
    RuleSettings,
    ServeSettings,
    SnapshotSettings,
    SupervisorSettings,
    TokenSettings,
    TraceSettings,
    WebhookSettings,
    WooSettings,
)
from holdfast.settings.definition import PREFIX, Definition, definitions_of, section_name

SECTIONS: dict[str, type] = {
    section_name(cls): cls
    for cls in (
        ServeSettings,
        GatewaySettings,
        NodeSettings,
        LogSettings,
        JournalSettings,
        SnapshotSettings,
        PublisherSettings,
        WooSettings,
        EventSettings,
        ReconcileSettings,
        DegradedSettings,
        TokenSettings,
        TraceSettings,
        RetentionSettings,
        SupervisorSettings,
        RuleSettings,
    )
}
DEFINITIONS: dict[str, Definition] = {one.key: one for cls in SECTIONS.values() for one in definitions_of(cls)}
NAMED: dict[str, type] = {section_name(cls): cls for cls in (ErpSettings, WebhookSettings)}
"""Sections that may be there many times, each with a name: `[erp.acme]`."""
TEMPLATES: dict[str, Definition] = {
    f"{one.section}.NAME.{one.name}": replace(one, section=f"{one.section}.NAME")
    for cls in NAMED.values()
    for one in definitions_of(cls)
}
TABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")
BY_VARIABLE: dict[str, Definition] = {name: one for one in DEFINITIONS.values() for name in one.variables}
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
# Variables of the command line that are not settings.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, f"{PREFIX}GATEWAY", f"{PREFIX}KEY"})
# Names that Kubernetes puts into the environment of every container beside a service named `holdfast-gateway`.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$")
_LIKE = 0.85  # how alike two names are, from 0 to 1, before one is treated as a misspelling of the other


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that no setting has. `nearest`: the one that was perhaps meant."""

    nearest: Definition | None


def find(key: str) -> Definition | Unknown:
    """By `section.name`, or `section.NAME.name` in a named section."""
    found = DEFINITIONS.get(key)
    if found is not None:
        return found
    section, *middle, last = key.split(".") if "." in key else ("", key)
    if section in NAMED and len(middle) == 1 and TABLE_NAME.fullmatch(middle[0]):
        template = TEMPLATES.get(f"{section}.NAME.{last}")
        if template is None:
            near = nearest(last, [one.name for one in TEMPLATES.values() if one.section == f"{section}.NAME"])
            template = TEMPLATES.get(f"{section}.NAME.{near}")
            return Unknown(replace(template, section=f"{section}.{middle[0]}") if template is not None else None)
        return replace(template, section=f"{section}.{middle[0]}")
    part, _, name = key.rpartition(".")
    same_name = [one for one in DEFINITIONS.values() if one.name == name]
    if len(same_name) == 1:
        return Unknown(same_name[0])
    near = nearest(key, [one for one in DEFINITIONS if one.startswith(f"{part}.")]) or nearest(key, DEFINITIONS)
    return Unknown(DEFINITIONS.get(near))


def find_variable(name: str) -> Definition | Unknown | None:
    """By the name of an environment variable; None for one that does not concern holdfast."""
    if name in BY_VARIABLE:
        return BY_VARIABLE[name]
    if name in OTHER_VARIABLES or _SERVICE_LINK.search(name):
        return None
    in_section = any(name.startswith(f"{PREFIX}{section.upper()}_") for section in SECTIONS)
    near = nearest(name, BY_VARIABLE, 0.6 if in_section else _LIKE)
    if not in_section and not near:
        return None
    return Unknown(BY_VARIABLE.get(near))


def nearest(name: str, among: Iterable[str], likeness: float = 0.6) -> str:
    """The most similar one; "" where none is similar."""
    return next(iter(difflib.get_close_matches(name, list(among), 1, likeness)), "")


def made(section: str, values: dict[str, Any]) -> Any:
    """The section's dataclass with these values; all else has its default."""
    cls = SECTIONS.get(section) or NAMED[section.partition(".")[0]]
    return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})
