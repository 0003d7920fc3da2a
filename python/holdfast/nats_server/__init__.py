"""The nats-server processes that holdfast starts: one for a data directory, or a cluster of three for rehearsals.

Role: start, check, restart and stop servers. In: a directory. Out: endpoints. Always: one server per store, proven by a
lock; no port is open beyond loopback.
"""
