"""The typed Python client: what the command line, rehearsals, adapters and users call a gateway with.

In: a gateway's address and a key. Out: Structs of holdfast.contracts, or typed exceptions.
Always: it needs no extension module and no NATS: it uses HTTP alone.
"""

from holdfast.client.calls import Client
from holdfast.client.errors import ClientError, InvalidAddressError, ProblemError, UnavailableError, UnreachableError
from holdfast.client.transport import NO_RETRY, Retry, address_of

__all__ = [
    "NO_RETRY",
    "Client",
    "ClientError",
    "InvalidAddressError",
    "ProblemError",
    "Retry",
    "UnavailableError",
    "UnreachableError",
    "address_of",
]
