from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.measuring import sharing
from seedbed.measuring.sharing import Group, Ids, Planner

Choices = dict[Ids, list[Ids]]
# Few letters and a common start give trees with every kind of branch.
TOKENS = st.integers(0, 2)
PROMPTS = st.builds(
    lambda start, rest: (9,) * start + tuple(rest), st.integers(1, 40), st.lists(TOKENS, max_size=6)
)
CHOICES = st.lists(st.lists(TOKENS, min_size=1, max_size=4).map(tuple), min_size=1, unique=True)


def read_back(groups: Sequence[Group]) -> Choices:
    """What the strips say, following parents from each place."""
    found: Choices = {}
    for group in groups:
        for strip in (s for strips in group.passes for s in strips):

            def before(place: int, strip: sharing.Strip = strip, stem: Ids = group.stem) -> Ids:
                ids: list[int] = []
                while place >= 0:
                    assert strip.parents[place] < place
                    ids.append(strip.ids[place])
                    place = strip.parents[place]
                return stem + tuple(reversed(ids))

            for (prompt, choice), path in strip.reads.items():
                assert path[0] == strip.ends[prompt]
                for i, place in enumerate(path):
                    assert before(place) == prompt + choice[:i]
                assert len(path) == len(choice)
                found.setdefault(prompt, []).append(choice)
    # Ordered, since the order in strips is free.
    return {prompt: sorted(found[prompt]) for prompt in sorted(found)}


def in_order(choices: Choices) -> Choices:
    return {prompt: sorted(choices[prompt]) for prompt in sorted(choices)}


def beginnings(choices: Mapping[Ids, Sequence[Ids]]) -> int:
    """How many different beginnings must be run at least."""
    whole = {p + c[:-1] for p, cs in choices.items() for c in cs}
    return len({ids[: i + 1] for ids in whole for i in range(len(ids))})


def laid_out(groups: Sequence[Group]) -> int:
    return sum(len(g.stem) + sum(len(s.ids) for p in g.passes for s in p) for g in groups)


@given(
    st.dictionaries(PROMPTS, CHOICES, max_size=8),
    st.sampled_from([8, 64, 576]),
    st.sampled_from([16, 512]),
    st.sampled_from([3, 2048]),
)
def test_every_pair_is_laid_out_once(choices: Choices, width: int, tokens: int, long: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "LONG", long)
        groups = Planner(width, tokens).plan(choices)
    assert read_back(groups) == in_order(choices)
    assert laid_out(groups) >= beginnings(choices)
    separately = sum(len(p) + len(c) - 1 for p, cs in choices.items() for c in cs)
    assert laid_out(groups) <= separately
    for strips in (p for g in groups for p in g.passes):
        size = len(strips) * max(len(s.ids) for s in strips)
        assert size <= tokens or len(strips) == 1


def test_a_long_common_beginning_is_a_stem() -> None:
    first, second = tuple(range(100)), tuple(range(200, 320))
    choices: Choices = {
        **{(1, *first, i, i): [(5,), (6, 7)] for i in range(10)},
        **{(1, *second, i, i): [(5,), (6, 7)] for i in range(10)},
        **{(1, 400 + i): [(5,), (6,)] for i in range(3)},
    }
    groups = Planner(576, 512).plan(choices)
    assert {g.stem for g in groups} == {(1, *first), (1, *second), ()}
    assert read_back(groups).keys() == choices.keys()
    assert laid_out(groups) <= 1.1 * beginnings(choices)


def test_very_many_choices_are_split_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LONG", 50)
    choices: Choices = {(1, 2, 3): [(i, i, i) for i in range(4, 104)]}
    groups = Planner(576, 64).plan(choices)
    assert read_back(groups) == in_order(choices)
    assert [g.stem for g in groups] == [(1, 2)]
    assert max(len(s.ids) for p in groups[0].passes for s in p) <= 50


def test_wide_models_join_prompts_sooner() -> None:
    choices: Choices = {(1, 2, 3, i, i, i): [(5,), (6,)] for i in range(4, 12)}
    strips = {w: sum(map(len, Planner(w, 512).plan(choices)[0].passes)) for w in (4, 4096)}
    assert strips[4] > strips[4096]
    assert laid_out(Planner(4096, 512).plan(choices)) == beginnings(choices)


def test_a_prompt_with_its_own_beginning_as_neighbour() -> None:
    choices: Choices = {(1, 2): [(3, 4), (3,)], (1, 2, 3): [(4,), (5, 6)], (1,): [(2, 3), (2,)]}
    groups = Planner(576, 512).plan(choices)
    assert read_back(groups) == in_order(choices)
    assert Planner(576, 512).plan({}) == []
