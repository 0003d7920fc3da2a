"""The WooCommerce connector."""
