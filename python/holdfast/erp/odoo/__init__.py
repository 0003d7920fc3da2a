"""The adapter of an Odoo (docs/erp.md, "Odoo"): experimental.

Role: an Erp. In: settings. Out: facts, orders as sales. Always: what it relies on is said there, and what was not
tried.
"""
