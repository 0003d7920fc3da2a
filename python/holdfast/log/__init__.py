"""JetStream as the log: streams, one fenced append, gap-checked reading, dead letters, and the embedded server.

Role: everything that speaks NATS. In: bytes to store, a sequence to read from. Out: evidence (acknowledgements that
name a sequence, bytes that were read back) and nothing that merely looks like it. Always: no decision is taken here;
what an answer means is said by `holdfast.node.protocol`.
"""
