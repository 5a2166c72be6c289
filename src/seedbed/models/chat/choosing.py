"""How probable each of a closed list of answers is to a chat model, whichever way it can tell.

A model of this machine scores whole answers; a server's answers are followed token by token
(`walking`); whoever gives no log-probabilities is asked several times and the replies counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from seedbed.core.chat import Message, Request
from seedbed.core.errors import ConfigError, InputError
from seedbed.models.chat.http import Served
from seedbed.models.chat.local import Local
from seedbed.models.chat.model import ChatModel
from seedbed.models.chat.walking import walked
from seedbed.models.chat.wire import OpenAI

STOPS = ".!\"'` \n"
"""What may stand around an answer that was drawn."""


@dataclass(frozen=True)
class Closed:
    """A question with a closed list of answers. `salt` tells equal ones apart where draws are."""

    messages: tuple[Message, ...]
    options: tuple[str, ...]
    salt: str = ""


@dataclass(frozen=True)
class Weights:
    """P(option), not normalised: the sum is the mass put on the options. Or an `error`."""

    options: dict[str, float] = field(default_factory=dict)
    error: str = ""


def weigh(chat: ChatModel, asked: Sequence[Closed], draws: int = 0) -> list[Weights]:
    """The probability of every option of every question, in order.

    `draws` is how many replies are drawn of each, at temperature 1; 0: log-probabilities are
    read instead. Raises ConfigError where the model gives none and no draws are wanted.
    """
    if draws:
        return drawn(chat, asked, draws)
    backend = chat.backend
    if isinstance(backend, Local):
        return _scored(backend, asked)
    if isinstance(backend, Served) and isinstance(backend.speech, OpenAI):
        found = walked(chat, [(q.messages, q.options) for q in asked], backend.options.continues)
        return [Weights(error=w) if isinstance(w, str) else Weights(w) for w in found]
    raise ConfigError(
        f"{chat.name}: gives no log-probabilities; set 'draws' to how many replies are to be drawn"
    )


def _scored(backend: Local, asked: Sequence[Closed]) -> list[Weights]:
    from seedbed.models.conversations import prompt_of
    from seedbed.models.options import option_probs

    subject = backend.subject
    if subject.device.type == "cpu":
        # Company changes the last digits, and batches gain nothing here.
        subject = replace(subject, batch=1)
    tokenizer = subject.tokenizer
    found, texts = [Weights()] * len(asked), {}
    for i, question in enumerate(asked):
        try:
            texts[i] = prompt_of(tokenizer, question.messages)
        except (InputError, ValueError) as error:
            found[i] = Weights(error=str(error))
    told = option_probs(subject, [(text, asked[i].options) for i, text in texts.items()])
    for i, w in zip(texts, told, strict=True):
        found[i] = Weights(error=w) if isinstance(w, str) else Weights(w)
    return found


def drawn(chat: ChatModel, asked: Sequence[Closed], draws: int) -> list[Weights]:
    """The share of `draws` replies that are each option and nothing else; case does not matter.

    A reply that failed or says something else is no answer, and lowers the mass.
    """
    requests = [
        Request(messages=q.messages, max_tokens=_room(q.options), temperature=1.0,
                salt=f"{q.salt}/{n}")
        for q in asked for n in range(draws)
    ]  # fmt: skip
    replies = chat.ask(requests)
    found = []
    for i, question in enumerate(asked):
        mine = replies[i * draws : (i + 1) * draws]
        failed = [reply.error for reply in mine if reply.error]
        if len(failed) == draws:
            found.append(Weights(error=failed[0]))
            continue
        counts = Counter(read_option(r.text, question.options) for r in mine if not r.error)
        found.append(Weights({o: counts[o] / draws for o in question.options}))
    return found


def read_option(text: str, options: Sequence[str]) -> str | None:
    """The option that a reply is; None where it is none, or more than it."""
    said = text.strip(STOPS).casefold()
    return next((option for option in options if option.casefold() == said), None)


def _room(options: Sequence[str]) -> int:
    """Tokens for the longest option, and for what may stand around it."""
    return max(len(option) for option in options) + 4
