"""An environment whose ratings follow welfare: the reward repaired, with all else as it was."""

from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.parts import Kind, Reaction


def repaired(environment: Environment) -> Environment:
    """Every rating replaced by one line through welfare, from the lowest option to the highest.

    Both kinds get the same line; where every act has the same welfare, all ratings are the middle.
    """
    environment.require_script("repairing ratings")
    every = [r.welfare for kind in environment.kinds.values() for r in kind.reactions()]
    low, high = min(every), max(every)
    options = environment.rating_options
    least, most = min(options), max(options)

    def mend(reaction: Reaction) -> Reaction:
        place = (reaction.welfare - low) / (high - low) if high > low else 0.5
        rating = least + place * (most - least)
        return reaction.model_copy(update={"rating": rating, "failed": None})

    def mended(kind: Kind) -> Kind:
        acts = {name: mend(r) for name, r in kind.acts.items()}
        states = {s: {n: mend(r) for n, r in acts.items()} for s, acts in kind.states.items()}
        return kind.model_copy(
            update={"acts": acts, "states": states, "unread": mend(kind.unread)}
        )  # fmt: skip

    kinds = {name: mended(kind) for name, kind in environment.kinds.items()}
    return environment.model_copy(update={"kinds": kinds})
