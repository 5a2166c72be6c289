"""All that an agent may hear in an environment, for vocabularies that must hold every word of it."""

from collections.abc import Iterator

from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import grammar_of


def heard(environment: Environment) -> Iterator[str]:
    """Texts that together hold every word of prompts, users, states, tools and replies.

    Of each variable the first value stands in them; all its values follow as texts of their own.
    """
    for values in environment.variables.values():
        yield from values
    said = [environment.roles.agent]
    said += [one.content for state in environment.states.values() for one in state.says]
    said += [text for kind in environment.kinds.values() for r in kind.reactions() for text in r.says]
    for sub in environment.subs:
        words = environment.words(sub)
        begun = [one.content for initial in environment.initial_states(sub).values()
                 for one in initial.says]  # fmt: skip
        yield from (fill(text, words) for text in (*said, *begun))
        for reply in grammar_of(environment, sub).replies:
            yield reply.text
            for call in reply.calls:
                tool = environment.tools[call.tool]
                yield fill(tool.result, call.arguments)
                yield fill(tool.failure, call.arguments)
