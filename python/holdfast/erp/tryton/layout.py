"""The tree of locations of a Tryton: which belong to which warehouse, and what that is called here.

In: Tryton's locations, the mapping of the settings. Out: a Layout. Always: what is on hand at a warehouse is in its
storage and output zones; what is in its input zone has arrived and is not put away, so nobody can pick it yet.
"""

from dataclasses import dataclass, field

from holdfast.erp.interface import UnusableError
from holdfast.erp.tryton.rest import Rest

_FIELDS = ("type", "code", "name", "parent", "storage_location", "output_location", "input_location")


@dataclass(slots=True)
class Layout:
    """`warehouses`: record by location name; `zones`: its storage and output; `home`: the name for each place inside,
    `inside`: only of places where stock counts as on hand.
    """

    warehouses: dict[str, int] = field(default_factory=dict)
    zones: dict[str, list[int]] = field(default_factory=dict)
    home: dict[int, str] = field(default_factory=dict)
    inside: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)


async def read_layout(rest: Rest, names: dict[str, str]) -> Layout:
    """Raises UnusableError, ErpDownError."""
    records = {one["id"]: one for one in await rest.search("stock.location", [], _FIELDS)}
    found = Layout(kinds={record: one["type"] for record, one in records.items()})
    below: dict[int, list[int]] = {}
    for record, one in records.items():
        if one["parent"] is not None:
            below.setdefault(one["parent"], []).append(record)

    def tree(top: int) -> list[int]:
        return [top, *(inner for child in below.get(top, []) for inner in tree(child))]

    by_code = {one["code"]: one for one in records.values() if one["type"] == "warehouse" and one["code"]}
    for code in names:
        if code not in by_code:
            raise UnusableError("warehouses", f"Tryton has no warehouse with the code {code}")
    for code, one in by_code.items():
        if names and code not in names:
            continue
        name = names.get(code, code)
        found.warehouses[name] = one["id"]
        found.zones[name] = list(dict.fromkeys([one["storage_location"], one["output_location"]]))
        for zone in found.zones[name]:
            found.inside |= dict.fromkeys(tree(zone), name)
        found.home |= dict.fromkeys([*tree(one["id"]), *tree(one["input_location"])], name)
        found.home |= {place: name for place, owner in found.inside.items() if owner == name}
    if not found.warehouses:
        raise UnusableError("warehouses", "Tryton has no warehouse with a code")
    return found
