import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring.choices import ChoiceScores, score_choices
from seedbed.measuring.packed import can_pack
from seedbed.models.adapters import Lora, wrap
from seedbed.models.subject import Subject

Make = Callable[..., Subject]
Plainly = Callable[[Subject, Sequence[Question]], list[tuple[list[float], int]]]
TOLERANCE = 1e-4


def ask(prompt: str, *choices: str) -> Question:
    return Question(id="q", prompt=prompt, choices=choices, answer=choices[0])


def same(found: Sequence[ChoiceScores], wanted: Sequence[tuple[list[float], int]]) -> None:
    for a, (values, top) in zip(found, wanted, strict=True):
        assert a.logprobs == pytest.approx(values, abs=TOLERANCE)
        assert a.top == top


@pytest.mark.parametrize("batch", [1, 3, 32])
@pytest.mark.parametrize("kind", ["untied", "tied", "gpt2", "gemma2"])
def test_shared_equals_in_full_equals_one_by_one(
    kind: str, batch: int, subject_of: Make, questions: list[Question], plainly: Plainly
) -> None:
    subject = subject_of(kind, batch)
    assert can_pack(subject.model, 30)
    wanted = plainly(subject, questions)
    same(score_choices(subject, questions), wanted)
    same(score_choices(subject, questions, share=False), wanted)


def test_eager_attention_takes_the_same_mask(
    subject_of: Make, questions: list[Question], plainly: Plainly
) -> None:
    subject = subject_of("untied")
    wanted = plainly(subject, questions)
    subject.model.set_attn_implementation("eager")
    assert can_pack(subject.model, 30)
    same(score_choices(subject, questions), wanted)


@pytest.mark.parametrize("batch", [1, 3, 32])
@pytest.mark.parametrize(("kind", "changes"), [("mistral", {"sliding_window": 6}), ("mamba", {})])
def test_models_that_cannot_share_are_run_in_full(
    kind: str, changes: dict[str, int], batch: int, subject_of: Make,
    questions: list[Question], plainly: Plainly,
) -> None:  # fmt: skip
    subject = subject_of(kind, batch, **changes)
    assert not can_pack(subject.model, 20)
    same(score_choices(subject, questions), plainly(subject, questions))


def test_a_window_that_no_pair_outgrows_does_no_harm(
    subject_of: Make, questions: list[Question], plainly: Plainly
) -> None:
    longest = max(len(f"{q.prompt}{c}".split()) for q in questions for c in q.choices) + 1
    subject = subject_of("mistral", sliding_window=longest)
    assert can_pack(subject.model, longest)
    assert not can_pack(subject.model, longest + 1)
    same(score_choices(subject, questions), plainly(subject, questions))


@pytest.mark.parametrize("deaf_to", ["attention_mask", "position_ids"])
def test_a_model_that_ignores_mask_or_positions_is_found_out(
    deaf_to: str, subject_of: Make, questions: list[Question], plainly: Plainly
) -> None:
    from transformers import LlamaForCausalLM

    class Deaf(LlamaForCausalLM):  # type: ignore[misc]  # transformers ships no types
        def forward(self, input_ids: Any = None, attention_mask: Any = None,
                    position_ids: Any = None, past_key_values: Any = None,
                    **inputs: Any) -> Any:  # fmt: skip
            given = {"attention_mask": attention_mask, "position_ids": position_ids}
            if attention_mask is not None and attention_mask.dim() == 4:
                given[deaf_to] = None
            return super().forward(input_ids, past_key_values=past_key_values, **given, **inputs)

    subject = subject_of("untied")
    subject.model.__class__ = Deaf
    assert not can_pack(subject.model, 20)
    # Only code of transformers is tried at all.
    Deaf.__module__ = "transformers.deaf"
    assert can_pack(subject.model, 20)
    same(score_choices(subject, questions), plainly(subject, questions))


def test_a_subject_with_lora_shares_too(
    subject_of: Make, questions: list[Question], plainly: Plainly
) -> None:
    pytest.importorskip("peft")
    plain = score_choices(subject_of("untied"), questions)
    subject = wrap(subject_of("untied"), Lora(r=4))
    generator = torch.Generator().manual_seed(0)
    for p in subject.model.parameters():
        if p.requires_grad:
            p.data.normal_(std=0.2, generator=generator)
    assert can_pack(subject.model, 20)
    found = score_choices(subject, questions)
    same(found, plainly(subject, questions))
    assert found[0].logprobs != pytest.approx(plain[0].logprobs, abs=0.01)


def test_neither_order_nor_company_changes_a_score(
    subject_of: Make, questions: list[Question]
) -> None:
    subject = subject_of("untied", 3)
    wanted = score_choices(subject, questions)
    order = list(range(len(questions)))
    random.Random(0).shuffle(order)
    turned = [
        questions[i].model_copy(update={"choices": questions[i].choices[::-1]}) for i in order
    ]
    for i, found in zip(order, score_choices(subject, turned), strict=True):
        assert found.logprobs[::-1] == pytest.approx(wanted[i].logprobs, abs=TOLERANCE)
        assert found.firsts[::-1] == wanted[i].firsts
        assert found.top == wanted[i].top
    for question, full in zip(questions[:4], wanted[:4], strict=True):
        (alone,) = score_choices(subject, [question])
        assert alone.logprobs == pytest.approx(full.logprobs, abs=TOLERANCE)
    assert score_choices(subject, []) == []


def test_the_probabilities_of_all_words_add_up(subject_of: Make) -> None:
    subject = subject_of("tied")
    unknown = subject.tokenizer.unk_token

    def rest(text: str) -> float:
        """One minus the probability of the only token that no choice may hold."""
        ids = torch.tensor([subject.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            p = subject.model(ids).logits[0, -1].softmax(dim=-1)
        return 1 - float(p[subject.tokenizer.unk_token_id])

    words = [f" {w}" for w in subject.tokenizer.get_vocab() if w != unknown]
    (first,) = score_choices(subject, [ask("the output of f", *words)])
    assert float(torch.tensor(first.logprobs).exp().sum()) == pytest.approx(rest("the output of f"))
    (second,) = score_choices(subject, [ask("the output of f", *(f" is{w}" for w in words))])
    total = float((torch.tensor(second.logprobs) - first.logprobs[words.index(" is")]).exp().sum())
    assert total == pytest.approx(rest("the output of f is"), abs=1e-5)
    assert len(set(second.firsts)) == 1
    assert second.top == first.top


def test_no_common_beginning_is_run_twice(subject_of: Make) -> None:
    subject = subject_of("untied", 32, max_position_embeddings=128)
    shots = "the output of f ( 3 ) is what stands first and hardly anybody reads on " * 4
    tails = ["a b", "a c", "b a", "b c", "c a", "d d", "d e", "e a"]
    questions = [ask(f"{shots} {t}", " a b c", " a b d", " a e", " d") for t in tails]
    score_choices(subject, questions[:1])
    run: list[int] = []
    subject.model.get_input_embeddings().register_forward_hook(
        lambda _, args, __: run.append(args[0].numel())
    )
    score_choices(subject, questions)
    # Stem 65 with BOS, five first words of a tail, eight second ones; after each: a, ab.
    distinct = 65 + 5 + 8 * (1 + 2)
    assert distinct <= sum(run) <= 1.2 * distinct
    run.clear()
    score_choices(subject, questions, share=False)
    assert sum(run) > 20 * distinct


def test_a_stem_longer_than_a_strip_may_be(
    subject_of: Make, questions: list[Question], plainly: Plainly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.measuring.sharing.LONG", 4)
    subject = subject_of("gpt2")
    same(score_choices(subject, questions), plainly(subject, questions))


def _pieces() -> Any:
    """Byte pieces; `is`, ` is` and ` 12` are one token each."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast

    merges = [("i", "s"), ("Ġ", "is"), ("1", "2"), ("Ġ", "12")]
    pieces = [*sorted(ByteLevel.alphabet()), *(a + b for a, b in merges)]
    core = Tokenizer(BPE(vocab={t: i for i, t in enumerate(pieces)}, merges=merges))
    core.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core)


@pytest.fixture
def pieces(model_of: Callable[..., Any]) -> Subject:
    """A subject whose tokenizer has no BOS and merges across spaces."""
    tokenizer = _pieces()
    return Subject(model=model_of("untied", rows=len(tokenizer)), tokenizer=tokenizer)


@pytest.mark.parametrize(
    "question",
    [ask("f(3)", " is", " 12"), ask("f(3) ", " is", " 12").model_copy(
        update={"prompt": "f(3) ", "choices": ("is", "12"), "answer": "is"}),
     ask("f(3)", "is", "12")],
    ids=["space in the choice", "space in the prompt", "no space"],
)  # fmt: skip
def test_where_the_space_stands_does_not_matter(
    question: Question, pieces: Subject, plainly: Plainly
) -> None:
    (found,) = score_choices(pieces, [question])
    same([found], plainly(pieces, [ask("f(3)", " is", " 12")]))
    assert pieces.tokenizer.convert_ids_to_tokens(list(found.firsts)) == ["Ġis", "Ġ12"]


def test_a_line_break_is_kept(pieces: Subject, plainly: Plainly) -> None:
    question = ask("f(3)\n", "\nis", "\n12")
    same(score_choices(pieces, [question]), plainly(pieces, [question]))


def test_padding_needs_no_row_of_its_own(pieces: Subject, plainly: Plainly) -> None:
    questions = [ask("f(3)", " is", " 12 is"), ask("f", " 12", " is is is")]
    wanted = plainly(pieces, questions)
    pieces.tokenizer.add_special_tokens({"pad_token": "<pad>"})
    assert pieces.tokenizer.pad_token_id == pieces.model.config.vocab_size
    same(score_choices(pieces, questions), wanted)
    same(score_choices(pieces, questions, share=False), wanted)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (ask("the output", " a"), "question 'q': measuring needs at least two choices"),
        (Question(id="q", prompt="the", answer="a"), "question 'q': measuring needs at least two"),
        (ask("the", " a", " gamma"), "'the' \\+ ' gamma': the tokenizer does not know 'gamma'"),
        (ask("gamma", " a", " b"), "the tokenizer does not know 'gamma'"),
        (ask("the " * 63, " a", " a b"), "65 tokens, but the model's context is 64"),
    ],
)
def test_unfit_questions_are_named(question: Question, message: str, subject_of: Make) -> None:
    with pytest.raises(InputError, match=message):
        score_choices(subject_of("untied"), [ask("the", " a", " b"), question])


def test_the_longest_pair_that_fits_is_scored(subject_of: Make, plainly: Plainly) -> None:
    for kind in ("gpt2", "untied"):
        subject = subject_of(kind)
        question = ask("the " * 61 + "a", " a", " a b")
        question = question.model_copy(update={"prompt": "the " * 60 + "a"})
        same(score_choices(subject, [question]), plainly(subject, [question]))


def test_something_must_stand_before_a_choice(pieces: Subject) -> None:
    with pytest.raises(InputError, match="question 'q': no token stands before its choices"):
        score_choices(pieces, [ask(" ", " is", " 12")])
