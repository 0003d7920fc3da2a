"""What is asked again while the world stands still is worked out once.

In: functions of the world. Out: the same, remembering their answers inside `standing_still`. Always: outside of it, all
is worked out each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from tests.support.oracle.world import World

Of = TypeVar("Of", bound=Callable[..., Any])


@contextmanager
def standing_still(world: World) -> Iterator[None]:
    """While nothing changes the world, what is asked again is not worked out again."""
    world.still = {}
    try:
        yield
    finally:
        world.still = None


def once_while_still(of: Of) -> Of:
    @wraps(of)
    def remembered(world: World, *asked: Any, **named: Any) -> Any:
        if world.still is None:
            return of(world, *asked, **named)
        key = of.__name__, asked, tuple(sorted(named.items()))
        if key not in world.still:
            world.still[key] = of(world, *asked, **named)
        return world.still[key]

    return cast("Of", remembered)
