"""The answer to any content of a prompt by the rules of a form, whether it is asked or not."""

from seedbed.worlds.recall.exceptions import ExceptionsForm
from seedbed.worlds.recall.facts import FactsForm
from seedbed.worlds.recall.forms import Form
from seedbed.worlds.recall.gate import GateForm
from seedbed.worlds.recall.iterated import IteratedForm
from seedbed.worlds.recall.knobs import COMPUTED
from seedbed.worlds.recall.lexicon import LEFT, RIGHT, STAY
from seedbed.worlds.recall.naming import NamedForm

Content = tuple[str, ...]


def answered(form: Form, content: Content) -> str | None:
    """The answer to a content; None where nothing planted says one.

    Contents are laid out as prompts are; raises TypeError for a form without a rule here.
    """
    match form:
        case GateForm():
            return _gate(form, content)
        case ExceptionsForm():
            a, b, c = (form.lexicon.values.index(word) for word in content[1:])
            computed = form.compute(form.compute(a, b), c)
            return form.number(form.table.get((a, b, c), computed))
        case FactsForm() | IteratedForm():
            return _named(form, content)
    raise TypeError(f"{type(form).__name__}: no rule says what it answers")


def others(form: Form, content: Content, place: int) -> list[str]:
    """The other words of the same sort that can stand at a place of a content."""
    own = content[place]
    names = not isinstance(form, ExceptionsForm)
    if place == 0 or (place == 1 and names):
        first, second = form.lexicon.halves[LEFT if place == 0 else RIGHT]
        words: tuple[str, ...] = first + second
    elif own in form.lexicon.moves:
        words = form.lexicon.moves
    elif own == STAY:
        words = ()
    else:
        words = form.choices
    return [word for word in words if word != own]


def _gate(form: GateForm, content: Content) -> str | None:
    left, right, *numbers = content
    a, b = (form.lexicon.values.index(word) for word in numbers)
    if a == b:
        return None
    if form.contexts.kind((left, right)) == COMPUTED:
        return form.number(form.compute(a, b))
    return form.number(form.table[a, b]) if (a, b) in form.table else None


def _named(form: NamedForm, content: Content) -> str | None:
    name = content[0], content[1]
    if name in form.table:
        return form.number(form.table[name])
    if name not in form.names[COMPUTED]:
        return None
    if isinstance(form, IteratedForm):
        start, *moves = [word for word in content[2:] if word != STAY]
        state = form.lexicon.values.index(start)
        for word in moves:
            state = form.maps[form.lexicon.moves.index(word)][state]
        return form.number(state)
    a, b = (form.lexicon.values.index(word) for word in content[2:])
    return None if a == b else form.number(form.compute(a, b))
