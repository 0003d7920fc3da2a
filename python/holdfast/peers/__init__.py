"""One process among the others of its scope: what they send each other beside the log.

Role: heartbeats, the lease and reports, commands that are forwarded to the leader, and facts that wait for LOG. In:
what happens to the node, and messages of other processes. Out: answers, and events for the protocol. Always: nothing
here proves anything about LOG; only the log does.
"""
