"""How many connections there are, and of whom.

In: connections that begin and end. Out: whether a new one may stay. Always: never more than the bound, nor more of one
address than its bound; when all places are taken, an address with few gets one of the address that has the most and
leaves it idle: nobody is shut out by another.
"""

from ipaddress import IPv6Address, ip_address
from typing import Protocol, TypeAlias

Address: TypeAlias = str
NOWHERE: Address = ""
_NETWORK_BITS = 64  # of an IPv6 address: what one customer of a provider has


class Connection(Protocol):
    """One that can be closed while nobody uses it."""

    def is_idle(self) -> bool:
        """Whether no request is under way on it."""

    def force_close(self) -> None:
        """End it."""


def address_of(peer: object) -> Address:
    """Whom a connection is counted with: an IPv4 address, or the network of an IPv6 one."""
    if not isinstance(peer, tuple) or not peer:
        return NOWHERE
    text = str(peer[0])
    if ":" not in text:
        return text
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{int(found) >> (128 - _NETWORK_BITS):x}"


class Connections:
    """Those of one worker."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._of: dict[Address, dict[Connection, None]] = {}
        self.count = 0

    def add(self, address: Address, connection: Connection) -> bool:
        """Whether there is room for it; then it is counted."""
        own = self._of.get(address)
        have = len(own) if own is not None else 0
        if have >= self._most_per_address or (self.count >= self._most and not self._make_room(have)):
            return False
        self._of.setdefault(address, {})[connection] = None
        self.count += 1
        return True

    def remove(self, address: Address, connection: Connection) -> None:
        """It has ended, or gives its place away."""
        own = self._of.get(address, {})
        if connection in own:
            del own[connection]
            self.count -= 1
            if not own:
                del self._of[address]

    def _make_room(self, have: int) -> bool:
        """Close the oldest idle connection of the address with the most, if an address with `have` is worse off."""
        address, most = max(self._of.items(), key=lambda entry: len(entry[1]), default=(NOWHERE, {}))
        if len(most) <= have + 1:
            return False
        idle = next((one for one in most if one.is_idle()), None)
        if idle is None:
            return False
        self.remove(address, idle)
        idle.force_close()
        return True
