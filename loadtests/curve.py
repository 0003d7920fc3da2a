"""How many shoppers there are at each part of a rehearsal's time.

In: the name of the shape, the part of the time, the most there are. Out: a number, at least 1.
Always: T0 of a flash sale is at FLASH_AT; before it there are few, from then on all.
"""

QUIET_SHARE, RAMP_SHARE, FLASH_AT = 0.1, 0.8, 0.25


def shoppers(shape: str, at: float, peak: int) -> int:
    """How many at this part, 0 to 1, of the time."""
    if shape == "ramp":
        return max(1, round(peak * min(1.0, at / RAMP_SHARE)))
    if shape == "flash" and at < FLASH_AT:
        return max(1, round(peak * QUIET_SHARE))
    return peak
