"""An alarm says that a table of names fills, once for each time that it does."""

import json
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from holdfast import _core
from holdfast.node.name_room import NameRoom
from holdfast.protocol.messages import Alarm


@given(known=st.lists(st.integers(0, 100), max_size=20))
def test_there_is_one_alarm_for_each_time_that_a_table_fills(known: list[int]) -> None:
    told: list[Alarm] = []
    count = 0
    core = SimpleNamespace(totals=lambda: json.dumps({"names": {"skus": count}, "names_max": {"skus": 100}}))
    room = NameRoom(lambda: core, told.append)
    for count in known:  # noqa: B007
        room.look()
    rises = sum(new >= 80 > old for old, new in zip([0, *known], known, strict=False))
    assert [alarm.name for alarm in told] == ["names-filling"] * rises


def test_a_core_counts_its_names_and_nothing_is_said_of_few() -> None:
    told: list[Alarm] = []
    core = _core.Engine("main")
    NameRoom(lambda: core, told.append).look()
    NameRoom(lambda: None, told.append).look()
    assert told == []
    totals = json.loads(core.totals())
    assert (
        totals["names"].keys() == totals["names_max"].keys() == {"skus", "locations", "channels", "sources", "regions"}
    )
