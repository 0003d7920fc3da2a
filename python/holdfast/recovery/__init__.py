"""Proving a log, repairing it, and cutting it: verify, repair, snapshots, trim.

Role: the work beside or without the serving processes. In: a data directory, a connection. Out: reports, a
repaired log, snapshots. Always: nothing is deleted before its copy is proven.
"""
