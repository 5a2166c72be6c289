"""What is written to items: read by the parser alone, the same however it is batched or edited."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.items import Item, few_shot
from seedbed.measuring.written import (
    Edits,
    Writing,
    WrittenChoice,
    prompts_of,
    read_answer,
    write_choices,
)
from seedbed.models.decoding import Ids
from seedbed.models.hooks import LAST, Add, Along, Edit, edited
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject
from seedbed.worlds.observed.builtin import facts_and_sums

CATEGORIES = ("capitals", "sums", "first letters")
EVERY = [i for i in facts_and_sums().asked if i.category in CATEGORIES]
EXAMPLES, ITEMS = EVERY[::2], [i for i in EVERY[1::2] if i.target < 3][::4]
KINDS = ["reasoning" if i.score else "memory" for i in ITEMS]
SHORT = Writing(shots=1, thought=False, tokens=6)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [few_shot(i, [i], thought) for i in EVERY for thought in (True, False)]
    return word_tokenizer([*texts, "\nQ: unread"])


@pytest.fixture
def subject(tokenizer: Any, model_of: Any) -> Subject:
    model = model_of("tied", rows=len(tokenizer), max_position_embeddings=400)
    return Subject(model=model, tokenizer=tokenizer, batch=4)


def write(subject: Subject, edits: Edits = (), config: Writing = SHORT) -> list[WrittenChoice]:
    return write_choices(subject, ITEMS, KINDS, EXAMPLES, config, edits)


def pushes(subject: Subject, strength: float) -> list[Edit]:
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(32, generator=generator)
    return [Add("resid_pre.1", strength * vector), Along("resid_post.1", vector, strength)]


def by_hand(subject: Subject, prompt: Ids, most: int, edits: Sequence[Edit]) -> str:
    """Greedy, without a cache, every token from a whole run of one prompt by itself."""
    ids = list(prompt)
    for _ in range(most):
        with torch.no_grad(), edited(subject.model, edits):
            logits = subject.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        ids.append(int(logits.argmax()))
    text: str = subject.tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)
    return text


def test_what_is_written_is_what_plain_runs_give(subject: Subject) -> None:
    edits = pushes(subject, 2.0)
    prompts = prompts_of(subject, ITEMS, EXAMPLES, SHORT, 0)
    for rows, now in ((write(subject), []), (write(subject, edits), edits)):
        for row, prompt in list(zip(rows, prompts, strict=True))[::3]:
            assert by_hand(subject, prompt.ids, 6, now).startswith(row.text)
            assert row.tokens == 6 or row.end != "length"
    assert [r.text for r in write(subject)] != [r.text for r in write(subject, edits)]


def test_strength_zero_changes_no_byte(subject: Subject) -> None:
    plain = [row.model_dump_json() for row in write(subject)]
    assert plain == [row.model_dump_json() for row in write(subject, pushes(subject, 0.0))]


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_batches_change_nothing(subject: Subject, batch: int) -> None:
    other = Subject(model=subject.model, tokenizer=subject.tokenizer, batch=batch)
    edits = pushes(subject, 2.0)
    assert write(other, edits) == write(subject, edits)


def test_every_batch_has_its_own_passes_and_rows(subject: Subject) -> None:
    """Row i of a batch gets the vector of its item, at the prompt's last token alone."""
    vectors = torch.randn(len(ITEMS), 32, generator=torch.Generator().manual_seed(1)) * 3

    def own(index: Sequence[int], prompts: Sequence[Ids]) -> list[Edit]:
        assert len(index) == len(prompts) <= 4
        return [Add("resid_pre.0", vectors[list(index)], LAST, passes=range(1))]

    together = write(subject, own)
    alone = [
        write_choices(subject, [item], [kind], EXAMPLES, SHORT,
                      [Add("resid_pre.0", vector, LAST, passes=range(1))])[0]
        for item, kind, vector in zip(ITEMS, KINDS, vectors, strict=True)
    ]  # fmt: skip
    assert together == alone
    assert [r.text for r in together] != [r.text for r in write(subject)]


def test_examples_are_of_the_category_and_never_the_item(subject: Subject) -> None:
    config = Writing(shots=3, thought=True, tokens=4)
    for item, prompt in zip(ITEMS, prompts_of(subject, ITEMS, EVERY, config, 0), strict=True):
        assert prompt.shots == 3
        assert prompt.text.count(item.question) == 1
        assert prompt.text.endswith(few_shot(item, [], True).split("\n\n", 1)[1])
        asked = {i.category for i in EVERY if i.question in prompt.text}
        assert asked == {item.category}
    twin = ITEMS[0].model_copy(update={"id": "twin", "question": ITEMS[0].question.upper()})
    assert prompts_of(subject, ITEMS[:1], [twin], config, 0)[0].shots == 0


def test_examples_are_drawn_by_seed(subject: Subject) -> None:
    texts = [[p.text for p in prompts_of(subject, ITEMS, EVERY, SHORT, s)] for s in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_examples_go_where_the_context_is_short(tokenizer: Any, model_of: Any) -> None:
    model = model_of("tied", rows=len(tokenizer), max_position_embeddings=150)
    small = Subject(model=model, tokenizer=tokenizer)
    config = Writing(shots=5, thought=False, tokens=6)
    prompts = prompts_of(small, ITEMS, EXAMPLES, config, 0)
    assert all(0 < p.shots < 5 and len(p.ids) <= 144 for p in prompts)
    with pytest.raises(InputError, match="without examples"):
        prompts_of(small, ITEMS, EXAMPLES, Writing(shots=1, thought=False, tokens=120), 0)


def test_a_thought_needs_examples_with_one(subject: Subject) -> None:
    bare = [e.model_copy(update={"cot": ""}) for e in EXAMPLES]
    with pytest.raises(InputError, match="set thought: false"):
        prompts_of(subject, ITEMS, bare, Writing(shots=1), 0)
    assert prompts_of(subject, ITEMS, bare, SHORT, 0)[0].shots == 1


ITEM = Item(id="i", question="?", options=("red", "blue", "green", "red wine"), target=1)
LETTERS, TEXTS = Writing(thought=False), Writing(answer="texts")


@pytest.mark.parametrize(
    ("text", "config", "letter", "outcome"),
    [
        (" The answer is (B).", LETTERS, "B", "choice"),
        (" the Answer is: b", Writing(), "B", "choice"),
        (" It is not A. So the answer is (B).", Writing(), "B", "choice"),
        (" The answer is (A). No, the answer is (C).", Writing(), "C", "choice"),
        (" The answer is (A). This answer is right.", Writing(), "A", "choice"),
        (" Look at (A) first, it is red.", Writing(), None, "none"),
        (" (A) looks right.", Writing(), None, "none"),
        (" (B)", LETTERS, "B", "choice"),
        (" C. green", LETTERS, "C", "choice"),
        (" D\n", LETTERS, "D", "choice"),
        (" A colour of the sky", LETTERS, None, "none"),
        (" E. none of them", LETTERS, None, "none"),
        (" The answer is (A) or (B).", LETTERS, None, "several"),
        (" The answer is not (A).", LETTERS, None, "none"),
        ("  ", LETTERS, None, "empty"),
        (" blue", LETTERS, None, "none"),
        (" The answer is blue.", TEXTS, "B", "choice"),
        (" The answer is red wine.", TEXTS, "D", "choice"),
        (" The answer is purple.", TEXTS, None, "none"),
    ],
)
def test_reading_never_guesses(
    text: str, config: Writing, letter: str | None, outcome: str
) -> None:
    read = read_answer(text, ITEM, config)
    assert (read.choice, read.outcome) == (letter, outcome)


def test_options_of_the_same_text_are_equally_right(subject: Subject) -> None:
    item = ITEM.model_copy(update={"options": ("blue", "blue", "red")})
    assert read_answer("The answer is blue.", item, TEXTS).choice == "A"
