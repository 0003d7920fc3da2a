"""What an endpoint gets: a signed request for each event.

In: an event as OUT has it, and the endpoint's secrets. Out: headers and a body. Always: the id and the body of an event
are the same at each try and on each machine; the signature is that of Standard Webhooks (standardwebhooks.com).
"""

import binascii
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from standardwebhooks import Webhook

from holdfast.events.places import Place, place_in
from holdfast.guarded import SECRET, OpenToOthersError, require_guarded
from holdfast.traces import joined

PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
SECRETS_MAX = 8


class SecretsError(Exception):
    """The file of secrets cannot be used; the message says what to do."""


class Secrets:
    """The secrets of one endpoint; a changed file is read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._signers: list[Webhook] = []

    def load(self) -> list[Webhook]:
        """Raises SecretsError."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                require_guarded(self._path, SECRET)
                self._signers = [_signer(line) for line in self._path.read_text().split()]
                self._seen = seen
        except OpenToOthersError as error:
            raise SecretsError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise SecretsError(f"{self._path} cannot be read ({error})") from error
        if not 1 <= len(self._signers) <= SECRETS_MAX:
            raise SecretsError(f"{self._path} has {len(self._signers)} secrets; write 1 to {SECRETS_MAX}, one a line")
        return self._signers


def _signer(line: str) -> Webhook:
    try:
        secret = binascii.a2b_base64(line.removeprefix(PREFIX), strict_mode=True)
    except binascii.Error as error:
        raise SecretsError("a secret is not base64: `openssl rand -base64 32` makes one") from error
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise SecretsError(f"a secret has {len(secret)} bytes; it needs {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    return Webhook(secret)


class Item(NamedTuple):
    """An event on its way to an endpoint. `key`: items that share it are sent in order."""

    place: Place
    key: str
    body: bytes
    trace: str = ""


def item_of(payload: bytes) -> Item:
    """Of an event as OUT has it."""
    event = orjson.loads(payload)
    if (reservation := event.get("reservation")) is not None:
        key = f"reservation {reservation['id']}"
    elif "sku" in event:
        key = f"sku {event['channel']} {event['sku']}"
    else:
        key = str(event["kind"])
    body = {"type": event["kind"], "timestamp": event.get("at"), "data": orjson.Fragment(payload)}
    trace = joined(event.get("trace"), event.get("span"))
    return Item(place_in(payload), key, orjson.dumps(body), trace)


def identity_of(scope: str, place: Place) -> str:
    """`webhook-id`: the same however often an event is sent."""
    return f"{scope}-{place.sequence}-{place.number}"


def headers_of(identity: str, body: bytes, signers: list[Webhook], now: datetime | None = None) -> dict[str, str]:
    """The headers of one try."""
    moment = now or datetime.now(UTC)
    signatures = " ".join(one.sign(identity, moment, body.decode()) for one in signers)
    return {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signatures,
        "user-agent": "holdfast",
    }
