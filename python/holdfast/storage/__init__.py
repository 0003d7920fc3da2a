"""Files of a data directory: the journal, the archive, snapshots.

Role: bytes on this machine's disk, and the chain by which they are proven. In: messages of LOG, bytes of a snapshot.
Out: the same bytes again, or an error that says which are damaged. Always: no network here; a file gets its final name
only when it is whole.
"""
