"""Dead letters, as a gateway's clients ask for them: listed, shown, corrected, sent again, removed.

In: which, and for a correction its text. Out: letters, and what became of them. Always: each is one step of
nats/dead_store.py; a letter that is not there to be removed was removed already, which is what was asked for.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from holdfast.hindsight.asking import Answered, Looker, Needs, WrongError, given
from holdfast.nats.connection import Connection
from holdfast.nats.dead_store import DeadStore, Letter, LetterError, NoLetterError, Wanted, document_of
from holdfast.nats.streams import Names

RAW_CHARS_MAX = 65_536
Found = TypeVar("Found")


def listed(looker: Looker, needs: Needs) -> Answered:
    """A page, the oldest first."""
    limit, after = given(needs, "limit"), given(needs, "after") or 0
    filters = given(needs, "filters") or {}
    since, until = (datetime.fromisoformat(at) if (at := filters.get(name)) else None for name in ("since", "until"))
    wanted = Wanted(filters.get("reason", ""), filters.get("source", ""), since, until)

    async def read(store: DeadStore) -> list[Letter]:
        found: list[Letter] = []
        async for letter in store.letters(wanted, after):
            found.append(letter)
            if len(found) > limit:
                break
        return found

    found = _with(looker, read)
    return {
        "items": [document(one) for one in found[:limit]],
        "next": str(found[limit - 1].sequence) if len(found) > limit else None,
    }, 0


def shown(looker: Looker, needs: Needs) -> Answered:
    """One."""
    return document(_with(looker, lambda store: store.letter(given(needs, "letter")))), 0


def corrected(looker: Looker, needs: Needs) -> Answered:
    """A correction stored beside it; the original stays until that is sent again or removed."""
    raw = str(given(needs, "raw")).strip().encode()
    number = _with(looker, lambda store: store.correct(given(needs, "letter"), raw))
    return {"letter": number, "corrects": given(needs, "letter")}, 0


def retried(looker: Looker, needs: Needs) -> Answered:
    """Sent to IN again, with those that belong to it, and removed."""
    at, together = _with(looker, lambda store: store.retry(given(needs, "letter")))
    return {"in_sequence": at, "letters": [one.sequence for one in together]}, 0


def discarded(looker: Looker, needs: Needs) -> Answered:
    """Removed, with what it corrects."""

    async def remove(store: DeadStore) -> bool:
        try:
            await store.discard(await store.letter(given(needs, "letter")))
        except NoLetterError:
            return False
        return True

    return {"letter": given(needs, "letter"), "removed": _with(looker, remove)}, 0


def document(letter: Letter) -> dict[str, Any]:
    """As JSON has it; of a body that is very long its beginning."""
    found = document_of(letter)
    raw = found["raw"]
    return found | {"raw": raw[:RAW_CHARS_MAX], "raw_cut": len(raw) > RAW_CHARS_MAX}


def _with(looker: Looker, work: Callable[[DeadStore], Awaitable[Found]]) -> Found:
    async def run(connection: Connection, names: Names) -> Found:
        return await work(DeadStore(connection, names, looker.settings.log))

    try:
        return looker.connected(run)
    except NoLetterError as fault:
        raise WrongError(404, "not-found", str(fault)) from fault
    except LetterError as fault:
        raise WrongError(422, "invalid", str(fault), "letter") from fault
