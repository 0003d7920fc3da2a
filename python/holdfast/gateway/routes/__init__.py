"""The calls of the contract, one file per resource.

In: the node. Out: routes. Always: a handler asks the node and passes its answer on; it decides nothing about stock.
"""
