"""Connections to ERPs: stock, supply and demand in; orders out; each order counted once.

Role: a client of holdfast, in a separate process. In: an ERP by its adapter (`interface`), events from OUT. Out:
facts over HTTP, orders to the ERP. Always: no checkout waits for it; whatever is sent again, after a crash at any
point, counts once.
"""
