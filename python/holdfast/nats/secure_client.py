"""The NATS client, which says who it is over TLS alone where TLS was asked for.

In: what nats-py's client takes. Out: that client. Always: nothing of CONNECT, which has the secret, is written to a
plain connection; not at the first connection, not at a later one, whatever a server or its list of others says. nats-py
itself takes TLS for done where the server does not ask for it.
"""

import nats.errors
from nats.aio.client import Client


class PlainTextError(nats.errors.Error):
    """The server offers plain text where TLS was asked for; nothing was sent to it."""

    def __str__(self) -> str:
        return "the server offers no TLS, and the address asks for it: nothing was sent"


class SecureClient(Client):
    """`tls_required` is set before `connect`."""

    tls_required = False

    def _connect_command(self) -> bytes:
        if self.tls_required and not self._is_encrypted():
            raise PlainTextError
        return super()._connect_command()

    def abort(self) -> None:
        """Drop the connection with what was not sent."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _is_encrypted(self) -> bool:
        writer = getattr(self._transport, "_io_writer", None)
        return writer is not None and writer.get_extra_info("ssl_object") is not None
