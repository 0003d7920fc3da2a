"""Proving a log, repairing it, and keeping it short: verify, repair, snapshots, trim.

Role: what runs beside or without the processes that serve. In: a data directory, a connection. Out: reports, a
repaired log, snapshots. Always: nothing is deleted before its copy is proven.
"""
