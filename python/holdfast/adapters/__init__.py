"""Foreign shapes into facts.

Always: an adapter knows the contracts and nothing of the node; what it cannot read, it names.
"""
