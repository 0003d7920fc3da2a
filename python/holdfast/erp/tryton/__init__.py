"""Tryton 8 over its own REST interface, with an application key (docs/erp.md, "Tryton").

Always: an order is a sale for each warehouse that it ships from, with the order's key in its description.
"""
