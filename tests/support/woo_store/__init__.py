"""A double of a WooCommerce shop: what the connector meets of one, and nothing else.

What it is: the REST routes of version 3 that the connector calls (orders, refunds, products, variations, batches,
webhooks, system status), the webhooks with WooCommerce's timing (collected, one action for each webhook and order while
one waits, the payload built when it is delivered, no second try, disabled after the seventh failure in a row), the
order statuses with what they do to WooCommerce's own stock, and the bulk route of the plugin. It answers and signs as
the source of WooCommerce 7.9 to 10.0 does, faults included: per-item errors within a 200, lists without trash,
`modified_after` that leaves its second out, a delivery id that is the same for all deliveries of a second. On request
it is slow, loses, delays, doubles and shuffles deliveries, answers 5xx, or answers after the caller has given up.

What it is not: PHP. No theme, no plugin, no database, no checkout, no permalinks, no other API. What holds here holds
for a real shop only as far as this page is right; `make woo-test` tries the plugin on real ones.
"""
