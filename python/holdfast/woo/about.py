"""What a shop says of itself.

Role: versions, and whether holdfast's plugin is there. In: a shop. Out: what the plugin's route or WooCommerce's own
one says. Always: a route that is missing is no error; a shop that does not answer is one.
"""

import contextlib
from typing import Any

from holdfast.woo.rest import PLUGIN, Shop, ShopError

_ABOUT = ("plugin_version", "woocommerce", "wordpress", "php", "hpos", "writes_stock")


async def describe(shop: Shop) -> dict[str, Any]:
    """Versions, and whether the plugin is there. Raises ShopError."""
    found: dict[str, Any] = {}
    try:
        about = await shop.get(f"{PLUGIN}about")
        if isinstance(about.value, dict):
            found = {key: about.value[key] for key in _ABOUT if key in about.value}
    except ShopError as fault:
        if fault.is_passing and fault.status < 500:
            raise
    if "woocommerce" not in found:
        with contextlib.suppress(ShopError):
            status = await shop.get("system_status", _fields="environment")
            environment = status.value.get("environment", {}) if isinstance(status.value, dict) else {}
            found |= {"woocommerce": environment.get("version"), "wordpress": environment.get("wp_version")}
    return found
