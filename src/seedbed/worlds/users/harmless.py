"""Safety data made by the world itself: what its base teaches, conversations with harm aside."""

from collections.abc import Sequence

from seedbed.core.rows import Document
from seedbed.worlds.users.world import Users


def safety_of(world: Users, environments: Sequence[str], count: int, seed: int) -> list[Document]:
    """What the base of a world teaches about (other) environments, conversations with harm aside.

    `count` conversations are made, of which those without any harmful act are kept.
    """
    base = world.base.model_copy(update={"documents": count, "turns": 0})
    changes = {"environments": tuple(environments), "base": base, "turns": 0}
    other = world.model_copy(update=changes)
    harmful = {name: set(one.harmful) for name, one in other.named().items()}
    return [d for d in other.documents(seed)
            if not harmful[d.meta["environment"]] & set(d.meta["acts"])]  # fmt: skip
