"""The past again: replayed, under other rules, onto another scope; what changed between two moments, and who did it.

Always: it only reads what is kept of a scope (recovery/past.py); the scope itself is never written to.
"""
