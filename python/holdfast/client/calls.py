"""The client: every call of the contract as a typed coroutine.

In: a gateway's address and a key. Out: the Structs of contracts.answers, or an exception of client.errors.
Always: one client may be used by any number of tasks of one event loop.
"""

import secrets
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import orjson

from holdfast.client.lists import Lists
from holdfast.client.parts import query_of, reader, segment
from holdfast.client.past import Moment, PastCalls, moment_text
from holdfast.client.streams import Streams
from holdfast.client.transport import Retry, Transport
from holdfast.contracts import answers, requests
from holdfast.contracts.facts import Fact, PolicyFact
from holdfast.contracts.overview import Overview

_availability = reader(answers.Availability)
_availabilities = reader(answers.Availabilities)
_explanation = reader(answers.Explanation)
_validation = reader(answers.Validation)
_reservation = reader(answers.Reservation)
_batch = reader(answers.BatchResults)
_facts = reader(answers.FactsAnswer)
_state = reader(answers.StateAnswer)
_overview = reader(Overview)
_encode = msgspec.json.Encoder().encode

Wait = Literal["log", "received"]


class Client(Lists, PastCalls, Streams):
    """Calls one gateway: `async with Client("http://127.0.0.1:8080", key) as client: ...`.

    `timeout_s` bounds one try, `retry` what happens after a 503 or a lost connection. Every call raises
    client.errors.ProblemError (one subclass per problem) or UnreachableError.

    A call that changes something goes under an idempotency key, a fresh one unless `idempotency_key` names one: however
    often it is sent, it is done once and answered the same. A caller that may itself have to call again, after a
    restart for instance, names the key and stores it with its own record of the call.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        key: str | None = None,
        *,
        timeout_s: float = 10.0,
        connections_max: int = 100,
        retry: Retry | None = None,
    ) -> None:
        self.transport = Transport(
            url, key, timeout_s=timeout_s, connections_max=connections_max, retry=retry or Retry()
        )
        self._send = self.transport.send

    async def __aenter__(self) -> Self:
        await self.transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.transport.close()

    @property
    def sequence(self) -> int:
        """The highest LOG sequence that an answer to this client reflected."""
        return self.transport.sequence

    async def availability(
        self,
        sku: str,
        channel: str,
        *,
        region: str | None = None,
        quantity: int | None = None,
        location: str | None = None,
        by_location: bool = False,
        published: bool = False,
        min_sequence: int | None = None,
    ) -> answers.Availability:
        """How many units of `sku` the channel can sell now; with `quantity`, also the first day on which that quantity
        can be sold.

        `location`: what it alone can give (pick-up); `by_location`: also what each location alone can give;
        `published`: less the channel's buffer.

        `min_sequence`, here and below: answer once the process holds LOG up to it; an answer of any process names it.
        """
        query = query_of(
            channel=channel,
            region=region,
            quantity=quantity,
            location=location,
            by="location" if by_location else None,
            published="true" if published else None,
            min_sequence=min_sequence,
        )
        return _availability((await self._send("GET", f"/v1/availability/{segment(sku)}{query}"))[1])

    async def availabilities(
        self,
        channel: str,
        skus: Sequence[str],
        *,
        region: str | None = None,
        location: str | None = None,
        published: bool = False,
    ) -> list[answers.AvailabilityItem]:
        """The same for 1 to 1,000 SKUs, in the order given."""
        body = requests.AvailabilityRequest(
            channel=channel, skus=list(skus), region=region, location=location, published=published
        )
        return _availabilities((await self._send("POST", "/v1/availability", _encode(body)))[1]).items

    async def explain(
        self,
        sku: str,
        channel: str,
        *,
        region: str | None = None,
        at: Moment | None = None,
        min_sequence: int | None = None,
    ) -> answers.Explanation:
        """The figure explained: signed terms that add up to `sellable`. `at`: after a sequence, or at a time."""
        query = query_of(channel=channel, region=region, at=moment_text(at), min_sequence=min_sequence)
        return _explanation((await self._send("GET", f"/v1/availability/{segment(sku)}/explain{query}"))[1])

    async def validate(self, cart: requests.ValidateRequest) -> answers.Validation:
        """Would this cart fit? Holds nothing."""
        return _validation((await self._send("POST", "/v1/carts/validate", _encode(cart)))[1])

    async def reserve(self, reservation: str, request: requests.ReservationRequest) -> answers.Reservation:
        """Hold these lines under the id `reservation`; the same request again answers the same."""
        return _reservation((await self._send("PUT", _path(reservation), _encode(request)))[1])

    async def reserve_batch(
        self, reservations: Sequence[requests.BatchedReservation], *, idempotency_key: str | None = None
    ) -> list[answers.BatchResult]:
        """Up to 500 at once, each decided separately."""
        body = requests.BatchRequest(requests=list(reservations))
        return _batch(await self._change("/v1/reservations:batch", _encode(body), idempotency_key)).results

    async def reservation(self, reservation: str, *, min_sequence: int | None = None) -> answers.Reservation:
        """The reservation in its present state."""
        return _reservation((await self._send("GET", _path(reservation) + query_of(min_sequence=min_sequence)))[1])

    async def confirm(
        self, reservation: str, order_ref: str | None = None, *, idempotency_key: str | None = None
    ) -> answers.Reservation:
        """The order was placed. Raises OversoldError when the hold had ended and the stock is sold."""
        body = _encode(requests.ConfirmRequest(order_ref=order_ref))
        return _reservation(await self._change(_path(reservation, "confirm"), body, idempotency_key))

    async def release(self, reservation: str, *, idempotency_key: str | None = None) -> answers.Reservation:
        """Give the hold back."""
        return _reservation(await self._change(_path(reservation, "release"), b"{}", idempotency_key))

    async def cancel(self, reservation: str, *, idempotency_key: str | None = None) -> answers.Reservation:
        """Give back what is not fulfilled."""
        return _reservation(await self._change(_path(reservation, "cancel"), b"{}", idempotency_key))

    async def extend(self, reservation: str, ttl_ms: int, *, idempotency_key: str | None = None) -> answers.Reservation:
        """The hold ends `ttl_ms` milliseconds from now."""
        body = _encode(requests.ExtendRequest(ttl_ms=ttl_ms))
        return _reservation(await self._change(_path(reservation, "extend"), body, idempotency_key))

    async def fulfil(
        self, reservation: str, lines: Sequence[requests.FulfilLine], *, idempotency_key: str | None = None
    ) -> answers.Reservation:
        """These units were handed over."""
        body = _encode(requests.FulfilRequest(lines=list(lines)))
        return _reservation(await self._change(_path(reservation, "fulfil"), body, idempotency_key))

    async def facts(
        self,
        source: str,
        facts: Sequence[Fact | Mapping[str, Any]],
        *,
        wait: Wait = "log",
        dry_run: bool = False,
        atomic: bool = False,
        idempotency_key: str | None = None,
    ) -> answers.FactsAnswer:
        """Facts of any kind, as Structs or plain mappings; each accepted or rejected separately.

        `atomic`: all of them or none, at most 2,000. `dry_run`: nothing is taken; the answer is what would be rejected
        and created now. Raises InvalidError where every fact was rejected; its `problem.rejected` says why.
        """
        body = _encode({"source": source, **_bound(atomic), "facts": list(facts)})
        return _facts(await self._change("/v1/facts" + _taking(wait, dry_run), body, idempotency_key))

    async def policies(
        self,
        facts: Sequence[PolicyFact | Mapping[str, Any]],
        *,
        wait: Wait = "log",
        dry_run: bool = False,
        atomic: bool = False,
        idempotency_key: str | None = None,
    ) -> answers.FactsAnswer:
        """Facts of the policy kinds; `atomic` and `dry_run` as in `facts`."""
        body = _encode({**_bound(atomic), "facts": list(facts)})
        return _facts(await self._change("/v1/policies" + _taking(wait, dry_run), body, idempotency_key))

    async def _change(self, path: str, body: bytes, key: str | None) -> bytes:
        return (await self._send("POST", path, body, key=key or secrets.token_hex(16)))[1]

    async def state(self, *, min_sequence: int | None = None) -> answers.StateAnswer:
        """The process's state: sequence, digest, totals."""
        return _state((await self._send("GET", "/v1/state" + query_of(min_sequence=min_sequence)))[1])

    async def overview(self) -> Overview:
        """What a dashboard shows of the process that answered: its figures since it began."""
        return _overview((await self._send("GET", "/v1/overview"))[1])

    async def alive(self) -> bool:
        """Whether the process answers. Raises UnreachableError when it does not."""
        return (await self._send("GET", "/livez", once=True))[0] == 200

    async def ready(self) -> bool:
        """True once requests may be sent. Raises UnavailableError, with the reasons, while they may not."""
        return (await self._send("GET", "/readyz", once=True))[0] == 200

    async def metrics(self) -> str:
        """Figures in Prometheus' text format."""
        return (await self._send("GET", "/metrics"))[1].decode()

    async def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document: dict[str, Any] = orjson.loads((await self._send("GET", "/openapi.json"))[1])
        return document


def _path(reservation: str, verb: str = "") -> str:
    return f"/v1/reservations/{segment(reservation)}{'/' if verb else ''}{verb}"


def _bound(atomic: bool) -> dict[str, bool]:
    return {"atomic": True} if atomic else {}


def _taking(wait: Wait, dry_run: bool) -> str:
    return "?dry_run=true" if dry_run else "" if wait == "log" else f"?wait={wait}"
