"""The demonstration: a small shop, a flash sale, a gateway killed in the middle of it, and the sums afterwards.

catalogue says what the shop has, shoppers buy it, raw_shop says what the sale would have been without holdfast.
Always: it speaks to the gateway through holdfast.client alone, like any shop.
"""
