"""What must hold of an environment's texts: variables known, replies distinct, calls right."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from seedbed.worlds.users.filling import expand, holes, unknown
from seedbed.worlds.users.misfits import Misfit, Place, none_of
from seedbed.worlds.users.parts import Act, Initial, Kind, Prompt

if TYPE_CHECKING:
    from seedbed.worlds.users.environment import Environment

CALL = re.compile(r"\bcall (\S+) \( (?:([^()]*) )?\)")
"""A tool call in a reply: `call NAME ( first , second )`."""
OWN = ("topic", "wants")
"""Variables that an environment fills in by itself."""
_MARK = re.compile(r"<(system|user|assistant|end)>")
Texts = Iterator[tuple[Place, str]]


def texts_of(act: Act, words: dict[str, str]) -> list[str]:
    """All texts of an act with a topic's words."""
    return [text for template in act.replies for text in expand(template, words, act.words)]


def written_calls(text: str) -> list[tuple[str, list[str]]]:
    """Tool and arguments of every call in a text, as they are written."""
    return [
        (tool, [value.strip() for value in inside.split(",")] if inside.strip() else [])
        for tool, inside in CALL.findall(text)
    ]


def check_variables(environment: "Environment") -> None:
    """Raise Misfit for the first text with a variable that nobody fills in."""
    subs = environment.subs
    for sub, one in subs.items():
        for word in one.words:
            if word in environment.variables or word in OWN:
                raise Misfit(("subs", sub, "words", word), "is the name of a variable already")
    for name in environment.variables:
        if name in OWN:
            raise Misfit(("variables", name), "is filled in by itself; choose another name")
    shared = set.intersection(*({*one.words} for one in subs.values()))
    base = {*shared, *environment.variables, "topic"}
    everywhere: list[tuple[set[str], Texts]] = [
        (base, iter([(("roles", "agent"), environment.roles.agent)])),
        (base | {"wants"}, _prompts(environment)),
        (base, _heard(environment)),
        *((base, _of_kind(("kinds", name), kind)) for name, kind in environment.kinds.items()),
        *(({*one.words, *environment.variables, "topic"},
           _begun(("subs", sub, "initials"), one.initials)) for sub, one in subs.items()),
    ]  # fmt: skip
    for known, texts in everywhere:
        for place, text in texts:
            if problem := unknown(text, known):
                raise Misfit(place, problem + _lacking(environment, holes(text), known))
            if found := _MARK.search(text):
                raise Misfit(place, f"{found.group()} is a mark of conversations; leave it out")


def _lacking(environment: "Environment", names: Iterable[str], known: set[str]) -> str:
    for name in names:
        have = [sub for sub, one in environment.subs.items() if name in one.words]
        if name not in known and have:
            lacks = next(sub for sub in environment.subs if sub not in have)
            return f" (sub-environment {lacks!r} has no such word, {have[0]!r} has)"
    return ""


def _prompts(environment: "Environment") -> Texts:
    roles = environment.roles
    named = {"user": roles.user, "rater": roles.rater, "third": roles.third,
             "transition": roles.transition}  # fmt: skip
    prompts: list[tuple[Place, Prompt]] = [
        (("roles", name), prompt) for name, prompt in named.items()
    ]
    prompts += [(("roles", "detectors", name), one) for name, one in roles.detectors.items()]
    for place, prompt in prompts:
        yield (*place, "system"), prompt.system
        yield (*place, "question"), prompt.question


def _heard(environment: "Environment") -> Texts:
    for name, state in environment.states.items():
        for i, one in enumerate(state.says):
            yield ("states", name, "says", i, "content"), one.content
    yield from _begun(("initials",), environment.initials)


def _begun(place: Place, initials: dict[str, Initial]) -> Texts:
    for name, initial in initials.items():
        for i, one in enumerate(initial.says):
            yield (*place, name, "says", i, "content"), one.content


def _of_kind(place: Place, kind: Kind) -> Texts:
    yield (*place, "wants"), kind.wants
    for i, text in enumerate(kind.unread.says):
        yield (*place, "unread", "says", i), text
    tables = [((*place, "acts"), kind.acts)]
    tables += [((*place, "states", state), table) for state, table in kind.states.items()]
    for where, table in tables:
        for act, reaction in table.items():
            for i, text in enumerate(reaction.says):
                yield (*where, act, "says", i), text


def check_replies(environment: "Environment") -> None:
    """Raise Misfit for the first reply that could not be read back as its act alone."""
    for name, tool in environment.tools.items():
        for key in ("result", "failure"):
            if problem := unknown(getattr(tool, key), tool.arguments):
                raise Misfit(("tools", name, key), problem)
    shared = set.intersection(*({*one.words} for one in environment.subs.values()))
    for name, act in environment.acts.items():
        used = {hole for template in act.replies for hole in holes(template)}
        for word, values in act.words.items():
            place: Place = ("acts", name, "words", word)
            if word in shared:
                raise Misfit(place, "is a word of the sub-environments already")
            if word not in used:
                raise Misfit(place, "stands in no reply")
            if len(set(values)) != len(values) or not values:
                raise Misfit(place, "values are needed that are all different")
        for i, template in enumerate(act.replies):
            if problem := unknown(template, {*shared, *act.words}):
                lacking = _lacking(environment, holes(template), {*shared, *act.words})
                raise Misfit(("acts", name, "replies", i), problem + lacking)
    for sub, one in environment.subs.items():
        _distinct(environment, sub, one.words)


def _distinct(environment: "Environment", sub: str, words: dict[str, str]) -> None:
    owner: dict[str, tuple[str, int]] = {}
    for name, act in environment.acts.items():
        for i, template in enumerate(act.replies):
            place: Place = ("acts", name, "replies", i)
            texts = expand(template, words, act.words)
            if len(set(texts)) < len(texts):
                raise Misfit(place, f"gives one text twice (in {sub!r})")
            for text in texts:
                if text != " ".join(text.lower().split()):
                    raise Misfit(place, f"{text!r} (in {sub!r}) must be lower-case words with one"
                                        " space between them")  # fmt: skip
                if found := _MARK.search(text):
                    raise Misfit(place, f"{found.group()} is a mark of conversations")
                other, line = owner.setdefault(text, (name, i))
                if (other, line) != (name, i):
                    raise Misfit(place, f"{text!r} (in {sub!r}) is a reply of {other!r} already")
                _calls(environment, place, text)


def _calls(environment: "Environment", place: Place, text: str) -> None:
    for tool, values in written_calls(text):
        if tool not in environment.tools:
            raise Misfit(place, none_of(tool, environment.tools, "tool"))
        arguments = environment.tools[tool].arguments
        if len(values) != len(arguments):
            raise Misfit(place, f"{text!r}: {tool} takes {len(arguments)} arguments"
                                f" ({', '.join(arguments)}), not {len(values)}")  # fmt: skip
        for (name, argument), value in zip(arguments.items(), values, strict=True):
            if problem := argument.problem(value):
                raise Misfit(place, f"{text!r}: argument {name!r} of {tool}: {problem}")
    if "(" in CALL.sub("", text) or ")" in CALL.sub("", text):
        raise Misfit(place, f"{text!r}: write a tool call as call NAME ( first , second )")
