"""All that an agent may hear in an environment, so that vocabularies can hold every word."""

from collections.abc import Iterator

from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill, holes
from seedbed.worlds.users.grammar import grammar_of


def heard(environment: Environment) -> Iterator[str]:
    """Texts that together hold every word of prompts, users, states, tools and replies.

    Of a variable the first value stands in them; the others follow as texts of their own.
    """
    said = [environment.roles.agent]
    said += [one.content for state in environment.states.values() for one in state.says]
    said += [text for kind in environment.kinds.values()
             for reaction in kind.reactions() for text in reaction.says]  # fmt: skip
    found = []
    for sub in environment.subs:
        begun = [one.content for initial in environment.initial_states(sub).values()
                 for one in initial.says]  # fmt: skip
        words = environment.words(sub)
        found += [*said, *begun]
        yield from (fill(text, words) for text in (*said, *begun))
        for reply in grammar_of(environment, sub).replies:
            yield reply.text
            for call in reply.calls:
                tool = environment.tools[call.tool]
                yield fill(tool.result, call.arguments)
                yield fill(tool.failure, call.arguments)
    open_ = {name for text in found for name in holes(text)}
    for name, values in environment.variables.items():
        yield from values if name in open_ else ()
