from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.rows import Question
from seedbed.measuring import choices, paths
from seedbed.measuring.choices import ChoiceScores, score_choices
from seedbed.measuring.paths import Tree, can_follow, pays, plan
from seedbed.measuring.sharing import Ids
from seedbed.models.adapters import Lora, wrap
from seedbed.models.subject import Subject

Make = Callable[..., Subject]
Plainly = Callable[[Subject, Sequence[Question]], list[tuple[list[float], int]]]
Pairs = list[tuple[Ids, Ids]]

some = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple)


def same(found: Sequence[ChoiceScores], wanted: Sequence[tuple[list[float], int]]) -> None:
    for a, (values, top) in zip(found, wanted, strict=True):
        assert a.logprobs == pytest.approx(values, abs=1e-5)
        assert a.top == top


def taken(trees: Sequence[Tree]) -> int:
    return sum(len(t.ids) for t in trees)


@given(st.lists(st.tuples(some, some), min_size=1, max_size=12, unique=True), st.integers(1, 40))
def test_every_pair_has_its_own_path(pairs: Pairs, tokens: int) -> None:
    trees = plan(pairs, tokens)
    assert sorted(pair for t in trees for pair in t.reads) == sorted(pairs)
    for tree in trees:
        spelled = {tuple(path) for path, _ in tree.rows}
        for (prompt, choice), places in tree.reads.items():
            whole = prompt + choice[:-1]
            (path,) = [p for p in spelled if list(p[len(prompt) - 1 :]) == places]
            assert tuple(tree.ids[place] for place in path) == whole
            assert [tree.depths[place] for place in path] == list(range(len(whole)))
        # No beginning stands twice, and each place is met first in one row.
        beginnings = {w[:n] for p, c in tree.reads for w in [p + c[:-1]]
                      for n in range(1, len(w) + 1)}  # fmt: skip
        assert len(tree.ids) == len(beginnings)
        assert sum(fresh for _, fresh in tree.rows) == len(tree.ids)


def test_trees_end_at_what_a_pass_holds() -> None:
    pairs: Pairs = [((a, b), (9,)) for a in range(30) for b in range(4)]
    assert len(plan(pairs, 2**30)) == 1
    assert taken(plan(pairs, 2**30)) == 30 * 5
    for tree in plan(pairs, 50):
        assert len(tree.ids) <= 50 + 2
        assert len(tree.read) <= 50 * paths.READS + 1


def test_long_common_beginnings_are_not_gathered_for_each() -> None:
    header = tuple(range(500))
    pairs: Pairs = [((*header, n), (1,)) for n in range(20)]
    assert not pays(plan(pairs, 2**30), 128)
    assert pays(plan([(p[-3:], c) for p, c in pairs], 2**30), 128)


@pytest.mark.parametrize("batch", [1, 3, 32])
@pytest.mark.parametrize("kind", ["untied", "tied", "gpt2", "mistral"])
def test_a_tree_gives_what_each_pair_gives_alone(
    kind: str, batch: int, subject_of: Make, questions: list[Question], plainly: Plainly,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(paths, "GATHERED", 1e9)
    ran: list[int] = []
    real = paths.run

    def counted(subject: Subject, trees: Sequence[Tree]) -> Any:
        ran.append(len(trees))
        return real(subject, trees)

    monkeypatch.setattr(paths, "run", counted)
    subject = subject_of(kind, batch)
    assert can_follow(subject.model)
    wanted = plainly(subject, questions)
    same(score_choices(subject, questions), wanted)
    # The trial, and the questions themselves.
    assert len(ran) == 2
    assert (ran[1] > 3) is (batch == 1)
    assert subject.model.config._attn_implementation == "sdpa"
    same(plainly_once_more(plainly, subject, questions), wanted)


def plainly_once_more(
    plainly: Plainly, subject: Subject, questions: Sequence[Question]
) -> list[ChoiceScores]:
    """That nothing which was put into the model stays there."""
    return [ChoiceScores(tuple(values), top, (), ()) for values, top in plainly(subject, questions)]


@pytest.mark.parametrize("kind", ["untied", "tied", "gpt2"])
def test_strips_give_the_same_as_trees(
    kind: str, subject_of: Make, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "GATHERED", 1e9)
    subject = subject_of(kind)
    trees = score_choices(subject, questions)
    monkeypatch.setattr(paths, "can_follow", lambda _: False)
    for a, b in zip(trees, score_choices(subject, questions), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
        assert (a.top, a.firsts, a.lengths) == (b.top, b.firsts, b.lengths)


def test_a_tree_of_a_subject_with_lora(
    subject_of: Make, questions: list[Question], plainly: Plainly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "GATHERED", 1e9)
    subject = wrap(subject_of("untied"), Lora(r=4))
    generator = torch.Generator().manual_seed(0)
    for p in subject.model.parameters():
        if p.requires_grad:
            p.data.normal_(std=0.2, generator=generator)
    assert can_follow(subject.model)
    same(score_choices(subject, questions), plainly(subject, questions))


def test_what_cannot_follow_is_run_in_strips(subject_of: Make) -> None:
    subject = subject_of("untied")
    subject.model.set_attn_implementation("eager")
    assert not can_follow(subject.model)


def test_a_model_that_does_not_follow_is_found_out(
    subject_of: Make, questions: list[Question], plainly: Plainly, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention that takes every key of the line, whatever rows it is given."""

    def deaf(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> Any:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, None, **options)

    monkeypatch.setattr(paths, "_attend", deaf)
    monkeypatch.setattr(paths, "GATHERED", 1e9)
    subject = subject_of("untied")
    same(score_choices(subject, questions), plainly(subject, questions))
    assert choices._FOLLOWS[subject.model][choices._alone_on_a_path] is False


def test_an_error_leaves_the_model_as_it_was(
    subject_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Exception):
        pass

    def broken(*_: Any) -> Any:
        raise Broken

    monkeypatch.setattr(paths, "logits_at", lambda *_, **__: broken())
    subject = subject_of("untied")
    with pytest.raises(Broken):
        paths.run(subject, plan([((1, 2), (3,))], 99))
    assert subject.model.config._attn_implementation == "sdpa"
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in subject.model.modules())
