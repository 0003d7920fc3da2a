"""Every limit of the system, by name; which of them a user can set, how, and what is in force.

Role: one place where a bound on a queue, batch, body, page, cache or wait is found and changed. In: a TOML file,
environment variables, options. Out: frozen sections that the other modules read. Always: units come last in a name;
each default is a value that works on one small machine; nothing here is mutable. `definition` defines what a setting
is; `log`, `node`, `erp` and their like define them; `catalogue` finds one by name; `sources` reads, `resolve`
decides, `reference` writes the documents.
"""

from dataclasses import dataclass, field

from holdfast.settings.degraded import DegradedSettings
from holdfast.settings.erp import ErpSettings
from holdfast.settings.events import EventSettings
from holdfast.settings.gateway import GatewaySettings, ServeSettings, SupervisorSettings
from holdfast.settings.log import LogSettings
from holdfast.settings.node import NodeSettings
from holdfast.settings.publisher import PublisherSettings
from holdfast.settings.reconcile import ReconcileSettings
from holdfast.settings.rules import RuleSettings
from holdfast.settings.storage import JournalSettings, RetentionSettings, SnapshotSettings
from holdfast.settings.tokens import TokenSettings
from holdfast.settings.traces import TraceSettings
from holdfast.settings.webhook import WebhookSettings
from holdfast.settings.woo import WooSettings

__all__ = [
    "DegradedSettings",
    "ErpSettings",
    "EventSettings",
    "GatewaySettings",
    "JournalSettings",
    "LogSettings",
    "NodeSettings",
    "PublisherSettings",
    "ReconcileSettings",
    "RetentionSettings",
    "RuleSettings",
    "ServeSettings",
    "Settings",
    "SnapshotSettings",
    "SupervisorSettings",
    "TokenSettings",
    "TraceSettings",
    "WebhookSettings",
    "WooSettings",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a gateway's processes. ServeSettings, what `serve` runs and where, is not among them."""

    log: LogSettings = field(default_factory=LogSettings)
    node: NodeSettings = field(default_factory=NodeSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    supervisor: SupervisorSettings = field(default_factory=SupervisorSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    publisher: PublisherSettings = field(default_factory=PublisherSettings)
    woo: WooSettings = field(default_factory=WooSettings)
    events: EventSettings = field(default_factory=EventSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    degraded: DegradedSettings = field(default_factory=DegradedSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)
    erp: dict[str, ErpSettings] = field(default_factory=dict)
    webhook: dict[str, WebhookSettings] = field(default_factory=dict)
