"""Which attacks still succeed: kept while they are, so that the rest stays proven.

In: nothing. Out: names. Always: a name here is expected to break (`xfail`, strict), so that the test turns red when
the attack is held, until the name is removed.
"""

STILL_OPEN: frozenset[str] = frozenset()
"""In the short form, on the gateway's own nats-server."""

STILL_OPEN_ON_CLUSTER: frozenset[str] = frozenset()
"""In the short form, on the servers of deploy/nats."""
