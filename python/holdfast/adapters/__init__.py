"""Formats of other systems into facts.

Always: an adapter uses the contracts and never the node; it names everything that it cannot read.
"""
