"""The demonstration: a small shop, a flash sale, a gateway killed in the middle of it, and the sums afterwards.

catalogue: what the shop has; shoppers: the sale; raw_shop: what the sale would have been without holdfast.
Always: it calls the gateway through holdfast.client alone, like any shop.
"""
