"""JetStream as the log: connection, streams, one fenced append, gap-checked reading, dead letters, the lease's key.

Role: everything that uses NATS. In: bytes to store, a sequence to read from. Out: evidence (acknowledgements that
name a sequence, bytes that were read back). Always: no decision is taken here; `holdfast.protocol` decides
what an answer means.
"""
