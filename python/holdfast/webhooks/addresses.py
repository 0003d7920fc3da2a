"""Which addresses a webhook may call.

In: a host, and networks that are allowed beside the public ones. Out: its addresses, or an error that names the refused
one. Always: what was checked is what is connected to: the client gets addresses, never the name again; one that is not
public is refused in every way it can be written.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult

Network = IPv4Network | IPv6Network
_NAT64 = ip_network("64:ff9b::/96")


class RefusedAddressError(OSError):
    """The host has an address that must not be called."""


def networks_of(text: str) -> list[Network]:
    """`10.1.0.0/16, ::1`. Raises ValueError."""
    return [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether it may be called."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if any(found in network for network in allowed):
        return True
    if isinstance(found, IPv6Address):
        inner = _inner(found)
        if inner is not None:
            return is_allowed(str(inner), allowed)
    return found.is_global and not (
        found.is_multicast or found.is_reserved or found.is_unspecified or found.is_loopback or found.is_link_local
    )


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def is_beside(address: str, allowed: Sequence[Network]) -> bool:
    """Whether it may be called by `allowed` alone."""
    return is_allowed(address, allowed) and any(ip_address(address.partition("%")[0]) in one for one in allowed)


class CheckedResolver(AbstractResolver):
    """Resolves names for the HTTP client. `plain`: the endpoint is http, for addresses of `allowed` alone."""

    def __init__(self, allowed: Sequence[Network], *, plain: bool) -> None:
        self._allowed = allowed
        self._plain = plain

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses that may be called. Raises RefusedAddressError, also where only one of several is refused."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, where in found:
            self.check(str(where[0]))
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(where[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    def check(self, address: str) -> None:
        """Raises RefusedAddressError."""
        if not is_allowed(address, self._allowed):
            raise RefusedAddressError(f"{address} is not public: add its network to the webhook's `allow`")
        if self._plain and not is_beside(address, self._allowed):
            raise RefusedAddressError(f"http to {address}: use https, or add its network to the webhook's `allow`")

    async def close(self) -> None:
        """Nothing to close."""
