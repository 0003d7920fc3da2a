"""A journal together with the archive before it: what nodes cut from their journals, a repair finds there.

In: a journal, the archive of its directory. Out: a view that begins where the archive does. Always: only where the
archive's end continues into the journal, by its chain; an archive that is damaged or is of another history adds
nothing.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields

from holdfast.errors import ArchiveError
from holdfast.storage.archive import Archive
from holdfast.storage.chain import advance
from holdfast.storage.journal_reader import JournalView


@dataclass(frozen=True, slots=True)
class WithArchive(JournalView):
    """Both as one history. `own_first`: the oldest message of the journal itself."""

    archive: Archive | None = None
    own_first: int = 1

    def messages(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """See JournalView. Raises ArchiveError, too."""
        assert self.archive is not None, "Invariant: made by `with_archive`"
        before = self.archive.messages(after_sequence)
        yield from itertools.takewhile(lambda one: one[0] < self.own_first, before)
        yield from JournalView.messages(self, max(after_sequence, self.own_first - 1))


def with_archive(journal: JournalView, archive: Archive) -> JournalView:
    """The journal, with what the archive has before it; the journal alone where that does not fit."""
    try:
        before = archive.before()
        if before is None or archive.first >= journal.first or archive.upto + 1 < journal.first:
            return journal
        position = before
        for sequence, message in archive.messages():
            if sequence >= journal.first:
                break
            position = advance(position, journal.scope, message, journal.keys)
    except ArchiveError:
        return journal
    if position != journal.before:
        return journal
    own = {field.name: getattr(journal, field.name) for field in fields(JournalView)}
    return WithArchive(**own | {"first": archive.first, "before": before}, archive=archive, own_first=journal.first)
