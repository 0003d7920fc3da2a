"""What other rules would have decided of the refusals that are kept, for `holdfast refusals --what-if`.

In: a data directory, a file of rules, a time. Out: as `holdfast replay --policy` has it, from that time on. Always: all
refusals of the time are decided, since carts compete; what is asked for is chosen of the result.
"""

from pathlib import Path

from holdfast.cli.console import DONE, write_json
from holdfast.cli.replay import ask_again, replay_document, what_if_document
from holdfast.cli.replay_view import show_differences
from holdfast.hindsight import other_rules
from holdfast.hindsight.differences import Difference, Differences, document
from holdfast.hindsight.replaying import END, Moment
from holdfast.hindsight.what_if import Then
from holdfast.recovery.past import Past
from holdfast.settings.resolve import Resolved


def decided_again(
    directory: Path,
    loaded: Resolved,
    file: Path,
    since_ms: int,
    chosen: tuple[str | None, str | None, str | None],
    rows_max: int,
    *,
    json: bool,
) -> int:
    """`chosen`: SKU, channel and reason, where only some are meant. Raises LogError."""
    rules = other_rules.read(file)
    begin = Moment(before_ms=since_ms)
    oldest = Past(directory, loaded.serve.scope, loaded.settings).oldest()
    if oldest is not None and oldest.header.now_ms >= since_ms:
        begin = END  # as far back as is kept
    asked, asking, run = ask_again(directory, loaded, begin, END, rules, Then.BUYS)
    found = Differences(
        {name: one for name, one in asking.found.by_reservation.items() if _is_meant(one, *chosen)},
        asking.found.not_listed,
        asking.found.same_after,
        asking.found.followed,
    )
    written = replay_document(run) | what_if_document(asked, asking) | document(found, None)
    if json:
        write_json(written)
    else:
        show_differences(written, rows_max)
    return DONE


def _is_meant(one: Difference, sku: str | None, channel: str | None, reason: str | None) -> bool:
    return sku in {None, *one.was, *one.would} and channel in {None, one.channel} and reason in {None, one.reason}
