"""Answers in words against the likeliest choice: they agree where the model has learned."""

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring.answers import answer
from seedbed.measuring.words import InWords, in_words, summed
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson


def test_both_ways_agree_on_a_trained_subject(
    coloured: tuple[Subject, list[Question]],
) -> None:
    subject, questions = coloured
    rows, words = in_words(subject, questions)
    whole = words.slices[0]
    assert whole.n == len(questions)
    # Learned well enough to answer, badly enough that agreeing says something.
    assert 0.5 < whole.accuracy < 1
    assert abs(whole.accuracy - whole.choice_accuracy) <= 0.01
    assert whole.agreement >= 0.99
    by_choice = answer(subject, questions)
    assert [r.likeliest for r in rows] == [a.prediction for a in by_choice]
    assert whole.choice_accuracy == np.mean([a.correct for a in by_choice])
    assert words.most == 1
    assert in_words(subject, questions, answers=by_choice)[0] == rows


def test_one_token_written_is_the_likeliest_of_all(
    coloured: tuple[Subject, list[Question]],
) -> None:
    import torch

    subject, questions = coloured
    rows, _ = in_words(subject, questions[:40])
    for row, question in zip(rows, questions, strict=False):
        ids = subject.tokenizer(question.prompt, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            best = int(subject.model(input_ids=ids).logits[0, -1].argmax())
        assert row.text.strip() == subject.tokenizer.decode([best]).strip()


def test_where_they_differ_the_rows_say_so(coloured: tuple[Subject, list[Question]]) -> None:
    subject, questions = coloured
    # Choices that are never written: the likeliest is still one of them.
    odd = [
        q.model_copy(update={"choices": (" dog", " cat"), "answer": " dog"}) for q in questions[:30]
    ]
    rows, words = in_words(subject, odd)
    whole = words.slices[0]
    assert {r.outcome for r in rows} == {"none"}
    assert not any(r.agrees for r in rows)
    assert (whole.accuracy, whole.agreement, whole.unread) == (0, 0, {"none": 30})
    assert whole.choice_accuracy > 0


def test_the_summary_by_hand() -> None:
    def row(key: str, split: str, likeliest: str, said: str | None) -> InWords:
        return InWords(
            id=key, split=split, answer=" a", likeliest=likeliest, text=said or "?", said=said,
            outcome="choice" if said else "none", agrees=said == likeliest, end="stop", tokens=1,
        )  # fmt: skip

    rows = [row("1", "id", " a", " a"), row("2", "id", " a", " b"), row("3", "far", " b", " a"),
            row("4", "far", " b", None)]  # fmt: skip
    found = {s.slice: s for s in summed(rows, 3).slices}
    assert list(found) == ["all", "split=id", "split=far"]
    whole = found["all"]
    assert (whole.n, whole.choice_accuracy, whole.accuracy, whole.agreement) == (4, 0.5, 0.5, 0.25)
    assert (whole.agreement_low, whole.agreement_high) == wilson(1, 4)
    assert (whole.low, whole.high) == wilson(2, 4) == (whole.choice_low, whole.choice_high)
    assert whole.unread == {"none": 1}
    assert (found["split=far"].choice_accuracy, found["split=far"].accuracy) == (0, 0.5)
    assert found["split=id"].unread == {}


def test_answers_to_other_questions_are_refused(coloured: tuple[Subject, list[Question]]) -> None:
    subject, questions = coloured
    with pytest.raises(InputError, match="not to these questions"):
        in_words(subject, questions[:2], answers=answer(subject, questions[1:3]))
    with pytest.raises(InputError, match="no questions"):
        in_words(subject, [])
