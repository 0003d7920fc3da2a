"""Reading OUT for others: event streams over HTTP, and webhooks.

In: the stream OUT. Out: its entries in order, from any place that a client names. Always: what cannot be read any more
is said; memory is bounded however many read, and however slowly.
"""
