"""Real orders replayed as checkouts against a gateway, with books kept beside it that account for every unit.

orders reads the file, openings chooses the stock, replay does the checkouts, books does the arithmetic, report says it.
Always: nothing here knows a rule of holdfast; it speaks to the gateway through holdfast.client alone.
"""
