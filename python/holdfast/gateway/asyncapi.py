"""The AsyncAPI 3 document of what holdfast sends and takes as messages: events, figures, facts, webhooks, lags.

In: the Structs of contracts, their examples. Out: a document that agrees with them, because it is made of them.
Always: each message has an example; a schema is under one name; subjects are those of docs/log.md and docs/events.md.
"""

from typing import Any, Final

import msgspec

from holdfast.contracts import events
from holdfast.contracts.event_examples import EVENTS, FIGURE
from holdfast.contracts.examples import STORY
from holdfast.contracts.requests import FactsRequest, PoliciesRequest
from holdfast.gateway.openapi_schemas import Schema, refined

_SCHEMAS: Final = "#/components/schemas/"
_STRUCTS: Final = (
    *(events.ReservationEvent, events.AvailabilityEvent, events.GapEvent, events.Figure),
    *(FactsRequest, PoliciesRequest),
)
_NAMES: Final = "Letters, digits, `-` and `_` as they are, every other byte as `%` and two hexadecimal digits."
_PARAMETERS: Final[dict[str, Schema]] = {
    "scope": {"description": "The inventory universe.", "default": "main", "examples": ["main"]},
    "kind": {"description": "What happened.", "enum": list(events.KINDS)},
    "channel": {"description": f"A channel; `_` for a gap. {_NAMES}", "examples": ["web"]},
    "sku": {"description": f"A SKU. {_NAMES}", "examples": ["MUG-BLUE", "A%2E1"]},
    "family": {"description": "Whose facts these are.", "enum": ["erp", "woo"]},
    "source": {"description": "The ERP or shop.", "examples": ["acme"]},
}
_DESCRIPTION: Final = """Messages over NATS JetStream, and webhooks. docs/events.md, docs/log.md and docs/nats.md have
the streams, the order in which messages come, and who may send what. Readers take members and kinds that they do not
know as they come: the document grows, and removes nothing within version 1."""


def document(version: str) -> dict[str, Any]:
    """As plain data."""
    _, found = msgspec.json.schema_components(_STRUCTS, ref_template=_SCHEMAS + "{name}")
    schemas: dict[str, Schema] = {name: _bare(one) for name, one in refined(found).items()}
    schemas |= _own()
    for name in ("FactsRequest", "PoliciesRequest"):
        del schemas[name]
    messages = _messages()
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "holdfast",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": _operations(channels),
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def _bare(value: Any) -> Any:
    """Without the discriminators of OpenAPI, which have another form here: `kind` is in each schema anyhow."""
    if isinstance(value, list):
        return [_bare(part) for part in value]
    if isinstance(value, dict):
        return {name: _bare(part) for name, part in value.items() if name != "discriminator" or "oneOf" not in value}
    return value


def _ref(name: str) -> Schema:
    return {"$ref": _SCHEMAS + name}


def _own() -> dict[str, Schema]:
    """What no Struct is: unions, and messages that are not read by one."""
    facts = {
        name: {
            "title": name,
            "type": "object",
            "description": f"Facts, each accepted or rejected separately, or (`atomic`) all of them or none. {who}",
            "properties": {
                "facts": {"type": "array", "minItems": 1, "items": _ref(union)},
                "atomic": {"type": "boolean", "default": False},
            },
            "required": ["facts"],
        }
        for name, union, who in (
            ("FactsMessage", "Fact", "The source is that of the subject."),
            ("PoliciesMessage", "PolicyFact", "Of the policy kinds alone."),
        )
    }
    return facts | {
        "Event": {
            "title": "Event",
            "description": "Something happened, by its `kind`.",
            "oneOf": [_ref("ReservationEvent"), _ref("AvailabilityEvent"), _ref("GapEvent")],
        },
        "WebhookBody": {
            "title": "WebhookBody",
            "type": "object",
            "description": "What a webhook carries: an event as the stream OUT has it.",
            "properties": {
                "type": {"type": "string", "enum": list(events.KINDS), "description": "The kind of the event."},
                "timestamp": {"type": ["string", "null"], "format": "date-time"},
                "data": _ref("Event"),
            },
            "required": ["type", "timestamp", "data"],
        },
        "WebhookHeaders": {
            "title": "WebhookHeaders",
            "type": "object",
            "description": "Those of Standard Webhooks.",
            "properties": {
                "webhook-id": {"type": "string", "description": "The same however often the event is sent."},
                "webhook-timestamp": {"type": "string", "description": "Of this try, in seconds since 1970."},
                "webhook-signature": {"type": "string", "description": "One `v1,` and base64 for each secret."},
            },
            "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
        },
        "Lag": {
            "title": "Lag",
            "type": "object",
            "description": "How late the shop of a channel learns of a figure, as its connector measures it.",
            "properties": {"channel": {"type": "string"}, "lag_ms": {"type": "integer", "minimum": 0}},
            "required": ["channel", "lag_ms"],
        },
    }


def _message(schema: str, title: str, summary: str, examples: dict[str, Any], headers: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": schema,
        "title": title,
        "summary": summary,
        "payload": _ref(schema),
        "examples": [{"name": name, "payload": payload} for name, payload in examples.items()],
    }
    return found | ({"headers": _ref(headers)} if headers else {})


def _messages() -> dict[str, Any]:
    of_kind = {kind: EVENTS[kind] for kind in events.RESERVATION_KINDS}
    hooks = {
        kind: {"type": kind, "timestamp": EVENTS[kind].get("at"), "data": EVENTS[kind]}
        for kind in ("confirmed", "availability", "gap")
    }
    facts, policies = (_facts(route) for route in ("facts", "policies"))
    return {
        "ReservationEvent": _message(
            "ReservationEvent", "Reservation", "Something happened to a reservation.", of_kind
        ),
        "AvailabilityEvent": _message(
            "AvailabilityEvent",
            "Availability",
            "A published figure came to zero or a threshold, or left it.",
            {"availability": EVENTS["availability"]},
        ),
        "GapEvent": _message("GapEvent", "Gap", "Events that will not come.", {"gap": EVENTS["gap"]}),
        "Figure": _message("Figure", "Figure", "What a channel publishes of a SKU.", {"figure": FIGURE}),
        "Facts": _message("FactsMessage", "Facts", "What a source reports.", facts),
        "Policies": _message("PoliciesMessage", "Policies", "What is declared, and the rules.", policies),
        "Webhook": _message("WebhookBody", "Webhook", "A signed request with an event.", hooks, "WebhookHeaders"),
        "Lag": _message("Lag", "Lag", "How late a shop is.", {"lag": {"channel": "web", "lag_ms": 900}}),
    }


def _facts(route: str) -> dict[str, Any]:
    """One example of each kind."""
    bodies = [one.body for one in STORY if one.route == route and one.body and "facts" in one.body]
    found: dict[str, Any] = {}
    for body in bodies:
        for fact in body["facts"]:
            found.setdefault(fact["kind"], {"facts": [fact]})
    return found


def _channel(address: str | None, title: str, text: str, *messages: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "address": address,
        "title": title,
        "description": text,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    named = [name for name in _PARAMETERS if address and f"{{{name}}}" in address]
    return found | ({"parameters": {name: _PARAMETERS[name] for name in named}} if named else {})


def _channels() -> dict[str, Any]:
    return {
        "events": _channel(
            "hf.{scope}.out.{kind}.{channel}",
            "Events",
            "The stream HF_<scope>_OUT, in the order of LOG; an event's `id` is its Nats-Msg-Id.",
            *("ReservationEvent", "AvailabilityEvent", "GapEvent"),
        ),
        "figures": _channel(
            "hf.{scope}.available.{channel}.{sku}",
            "Figures",
            "The stream HF_<scope>_AVAILABLE: the newest figure of each SKU and channel, one message a subject.",
            "Figure",
        ),
        "facts": _channel(
            "hf.{scope}.in.{family}.{source}", "Facts", "The stream HF_<scope>_IN: facts as they arrive.", "Facts"
        ),
        "policies": _channel("hf.{scope}.in.policy", "Policies", "The same stream, of operators.", "Policies"),
        "lags": _channel(
            "hf.{scope}.pushed.{channel}", "Lags", "From connectors to the publisher; no stream stores them.", "Lag"
        ),
        "webhooks": _channel(
            None, "Webhooks", "POST to the `url` of a table [webhook.NAME] of the settings, over HTTPS.", "Webhook"
        ),
    }


def _operations(channels: dict[str, Any]) -> dict[str, Any]:
    """What holdfast does with each channel."""
    does = {
        "publishEvents": ("send", "events", "Events, each once, in the order of LOG."),
        "publishFigures": ("send", "figures", "Figures as they change, those that come to zero first."),
        "takeFacts": ("receive", "facts", "Take facts of ERPs and shops in; what is malformed is a dead letter."),
        "takePolicies": ("receive", "policies", "Take declarations and rules in."),
        "takeLags": ("receive", "lags", "Withhold what sells while a figure is on its way."),
        "sendWebhooks": (
            "send",
            "webhooks",
            "Send events to endpoints until they have them, in order for each subject.",
        ),
    }
    return {
        name: {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": text,
            "messages": [{"$ref": f"#/channels/{channel}/messages/{one}"} for one in channels[channel]["messages"]],
        }
        for name, (action, channel, text) in does.items()
    }
