"""The process that looks into the past for a gateway: `python -m holdfast.hindsight.process`.

In: on stdin, where the past is, then one question after the other. Out: on stdout, one answer each. Always: one
question at a time, at a low priority; it serves no requests itself and ends when the gateway does, or when it was idle;
what it finds wrong is an answer, and the gateway's log has the rest.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.errors import LogError
from holdfast.hindsight import asking, letters
from holdfast.hindsight.asking import Answered, WrongError
from holdfast.hindsight.frames import Place, Question, Reply, framed, read_frame
from holdfast.recovery.past import NotKeptError

IDLE_S = 600
_WHAT: dict[str, Callable[[asking.Looker, dict[str, msgspec.Raw]], Answered]] = {
    "explain": asking.explain,
    "changes": asking.changed,
    "audit": asking.audited,
    "refusals": asking.refused,
    "report": asking.reported,
    "letters": letters.listed,
    "letter": letters.shown,
    "correct": letters.corrected,
    "retry": letters.retried,
    "discard": letters.discarded,
}


def answer(looker: asking.Looker, question: Question) -> Reply:
    """One question answered."""
    looker.reach(question.sequence)
    try:
        body, sequence = _WHAT[question.what](looker, question.needs)
    except WrongError as wrong:
        return Reply(wrong.status, problem=wrong.problem, detail=str(wrong), path=wrong.path)
    except NotKeptError as fault:
        return Reply(404, problem="not-found", detail=str(fault))
    except (LogError, OSError, TimeoutError) as fault:
        return Reply(503, problem="log-unavailable", detail=str(fault))
    return Reply(200, msgspec.Raw(msgspec.json.encode(body)), sequence=sequence)


def main() -> int:
    """Until the gateway closes the pipe, or asks nothing for a while."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    source, target = sys.stdin.buffer, sys.stdout.buffer
    first = read_frame(source)
    if first is None:
        return 0
    place = msgspec.json.decode(first, type=Place)
    looker = asking.Looker(Path(place.directory), place.scope, place.nats, place.settings)
    while True:
        signal.alarm(IDLE_S)
        asked = read_frame(source)
        if asked is None:
            return 0
        signal.alarm(0)
        target.write(framed(answer(looker, msgspec.json.decode(asked, type=Question))))
        target.flush()


if __name__ == "__main__":
    sys.exit(main())
