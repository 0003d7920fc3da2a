"""The adapter of an ERPNext (docs/erp.md, "ERPNext"): experimental.

Role: an Erp. In: settings. Out: facts, orders as Sales Orders. Always: what it relies on is said there, and what was
not tried.
"""
