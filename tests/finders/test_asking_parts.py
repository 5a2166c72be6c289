import numpy as np
import pytest

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Question
from seedbed.finders.asking_parts import REPLIES, AskParts
from seedbed.finders.contract_inputs import example_inputs
from seedbed.measuring.choices import score_choices
from seedbed.models.pretrained import Pretrained
from seedbed.models.scratch import word_tokenizer
from seedbed.models.templates import templated
from seedbed.models.tiny import Tiny

WORDING = 'Would "{text}" as {part} matter in "{prompt}"?'


def test_the_score_is_the_probability_of_yes() -> None:
    subject, questions = example_inputs(['Would " as word matter in form ? yes no'])
    asked = [q.model_copy(update={"places": {p: q.places[p] for p in ("word", "form")}})
             for q in questions]  # fmt: skip
    claim = AskParts(wording=WORDING).find(subject, [], asked, [])
    word = claim.sites.index("word")
    for q, row in zip(asked, claim.scores, strict=True):
        text = q.prompt[slice(*q.places["word"])]
        prompt = f'Would "{text}" as word matter in "{q.prompt}"?'
        said = score_choices(subject, [Question(id="q", prompt=prompt, choices=REPLIES,
                                                answer=" no")])[0].logprobs  # fmt: skip
        p = np.exp(said)
        assert row[word] == pytest.approx(p[0] / p.sum(), abs=1e-5)
    assert claim.notes["asked"] == WORDING


def test_braces_in_a_prompt_stay() -> None:
    q = Question(id="q", prompt="{text} is {part}", choices=("a", "b"), answer="a",
                 places={"it": (0, 6)})  # fmt: skip
    finder = AskParts(wording="{prompt}: {part} = {text}?")
    assert finder._about(word_tokenizer(["a"]), q, "it").prompt == "{text} is {part}: it = {text}?"


def test_a_chat_template_stands_around_the_whole() -> None:
    tokenizer = word_tokenizer(["a b"])
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} [end]{% endfor %}"
    )
    plain = Question(id="q", prompt="a b", choices=("a", "b"), answer="a", places={"it": (2, 3)})
    finder = AskParts(wording="in {prompt}: {text}?")
    asked = finder._about(tokenizer, templated(tokenizer, plain), "it")
    assert asked.prompt == "[user] in a b: b? [end]"
    assert asked.choices == ("yes", "no")
    # Not every question that such a model is asked was put into its template.
    assert finder._about(tokenizer, plain, "it").prompt == "in a b: b?"


def test_unfit_wordings_and_subjects_are_refused() -> None:
    with pytest.raises(ConfigError, match="all parts are asked alike"):
        validate(AskParts, {"wording": "Does it matter in {prompt}?"}, "file")
    assert "knows no words but its world's" in AskParts().unsuited(Tiny(), None)
    assert AskParts().unsuited(Pretrained(path="somewhere"), None) == ""
    subject, questions = example_inputs()
    with pytest.raises(InputError, match="does not know"):
        AskParts().find(subject, [], questions, [])
