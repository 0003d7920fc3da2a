"""Real orders replayed as checkouts against a gateway, with separate accounts of every unit.

orders reads the file, openings chooses the stock, replay does the checkouts, books does the arithmetic, report prints
it.
Always: nothing here knows a rule of holdfast; it calls the gateway through holdfast.client alone.
"""
