"""How many shoppers there are, and when: `--shape ramp`, `flash` or `soak`, for `--seconds`, `--peak` at the height.

.venv/bin/locust -f loadtests/locustfile.py,loadtests/shapes.py --headless --shape flash --peak 200 --seconds 120
"""

from locust import LoadTestShape

from loadtests.curve import shoppers
from loadtests.options import chosen


class Shape(LoadTestShape):
    """ramp: more and more, then all. flash: a few, then all at T0. soak: all, all the time."""

    def tick(self) -> tuple[int, float] | None:
        """Shoppers now, and how many more a second."""
        at = float(self.get_run_time()) / chosen.seconds  # type: ignore[no-untyped-call]
        erp = 1 if chosen.erp_per_s else 0
        return (shoppers(chosen.shape, at, chosen.peak) + erp, chosen.peak) if at < 1 else None
