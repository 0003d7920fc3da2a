"""What the business asks: orders, units, times, what was lost; counted from LOG, to the unit (docs/business.md).

Always: it only reads LOG and ASK; its figures are in a separate file, which can be deleted and is counted again.
"""
