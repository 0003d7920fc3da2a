"""The WooCommerce connector: orders of a shop into facts, sellable quantities out to the shop.

In: webhooks and REST answers of shops, the figures of AVAILABLE. Out: facts and confirmations over HTTP, stock written
to the shop. Always: a checkout never waits for it; it is a client of a gateway, and what it needs to know again after a
loss is in the shop and in holdfast (docs/adr/0020-the-connector-keeps-nothing-that-shop-or-holdfast-does-not-know.md).
"""
