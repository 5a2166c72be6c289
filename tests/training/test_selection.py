import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from seedbed.core.transcripts import Transcript, Verdict
from seedbed.training.selection import Selected, Selection, reward_of, select

EpisodeMaker = Callable[..., list[Transcript]]


def _rated(one: Transcript, *values: float | None, vetoed: tuple[int, ...] = ()) -> Transcript:
    """The episode with these ratings (None: none was given) and vetoes."""
    turns = []
    for i, value in enumerate(values):
        rating = Verdict(error="timed out") if value is None else Verdict(
            options={"1": 1.0}, value=value)  # fmt: skip
        changes = {"number": i, "rating": rating, "vetoed": i in vetoed}
        turns.append(one.turns[0].model_copy(update=changes))
    return one.model_copy(update={"turns": tuple(turns)})


def _ids(selected: Selected) -> list[tuple[str, bool]]:
    return [(c.transcript.id, c.desirable) for c in selected.chosen]


def test_the_best_and_the_worst_of_each_group_are_chosen(episodes: EpisodeMaker) -> None:
    made = episodes(people=3, attempts=8)
    selected = select(made, Selection(best=2, worst=1), 0)
    for person in {t.opening.person for t in made}:
        rewards = sorted(t.ratings()[0] for t in made if t.opening.person == person)
        mine = [c for c in selected.chosen if c.group == person]
        assert [c.reward for c in mine if c.desirable] == rewards[:-3:-1]
        assert [c.reward for c in mine if not c.desirable] == rewards[:1]
        assert [c.rank for c in mine] == [0, 1, 7]


def test_the_order_of_transcripts_changes_nothing(episodes: EpisodeMaker) -> None:
    made = [_rated(t, round(t.ratings()[0])) for t in episodes(people=4, attempts=8)]
    mixed = random.Random(1).sample(made, len(made))
    for by in ("reward", "random", "shuffled"):
        selection = Selection(by=by)
        assert _ids(select(made, selection, 5)) == _ids(select(mixed, selection, 5))
        assert _ids(select(made, selection, 5)) != _ids(select(made, selection, 6))


@pytest.mark.parametrize(
    ("group", "groups"), [("person", 4), ("initial", 2), ("sub", 1), ("environment", 1),
                          ("class", 1)]
)  # fmt: skip
def test_groups(episodes: EpisodeMaker, group: Any, groups: int) -> None:
    selected = select(episodes(people=4), Selection(group=group), 0)
    assert len(selected.groups) == groups
    assert len(selected.best) == len(selected.worst) == groups


def test_classes_hold_several_environments(episodes: EpisodeMaker) -> None:
    made = episodes(people=2)
    other = [t.model_copy(update={"opening": t.opening.model_copy(
        update={"environment": "booking", "id": t.id.replace("therapy", "booking")})})
        for t in made]  # fmt: skip
    assert len(select([*made, *other], Selection(group="environment"), 0).groups) == 2
    assert len(select([*made, *other], Selection(group="class"), 0).groups) == 1


@pytest.mark.parametrize(("size", "chosen"), [(1 / 16, 1), (0.25, 4), (1 / 3, 5), (1.0, 16)])
def test_shares_are_of_what_can_be_chosen(episodes: EpisodeMaker, size: float, chosen: int) -> None:
    made = episodes(people=1, attempts=17)
    failed = made[0].model_copy(update={"end": "failed", "failure": "timed out"})
    selected = select([failed, *made[1:]], Selection(best=size, worst=0), 0)
    assert len(selected.best) == chosen


def test_nothing_is_chosen_twice(episodes: EpisodeMaker) -> None:
    selected = select(episodes(people=1, attempts=3), Selection(best=2, worst=5), 0)
    assert [c.desirable for c in selected.chosen] == [True, True, False]
    assert len({c.transcript.id for c in selected.chosen}) == 3


def test_failed_and_unrated_episodes_are_counted_with_reasons(episodes: EpisodeMaker) -> None:
    a, b, c, d = episodes(people=1, attempts=4)
    failed = a.model_copy(update={"end": "failed", "failure": "timed out"})
    selected = select([failed, _rated(b, None), c.model_copy(update={"turns": ()}), d],
                      Selection(), 0)  # fmt: skip
    assert selected.dropped == {a.id: "failed", b.id: "no rating", c.id: "no turn"}
    assert [one.transcript.id for one in selected.chosen] == [d.id]


def test_the_mean_leaves_out_what_was_not_rated_and_the_last_must_be(
    episodes: EpisodeMaker,
) -> None:
    (one,) = episodes(people=1, attempts=1)
    both, first = _rated(one, 1.0, 0.0), _rated(one, 1.0, None)
    mean, last = Selection(reward="mean"), Selection(reward="last")
    assert [reward_of(t, mean) for t in (both, first)] == [0.5, 1.0]
    assert [reward_of(t, last) for t in (both, first)] == [0.0, None]


def test_random_selection_ignores_rewards(episodes: EpisodeMaker) -> None:
    made = episodes(people=200, attempts=4)
    again = [_rated(t, 1 - t.ratings()[0]) for t in made]
    selection = Selection(by="random")
    assert _ids(select(made, selection, 0)) == _ids(select(again, selection, 0))
    means = [sum(c.reward or 0 for c in side) / 200
             for s in (select(made, selection, 0),) for side in (s.best, s.worst)]  # fmt: skip
    # Four standard errors of a mean of 200 uniform draws.
    assert means == pytest.approx([0.5, 0.5], abs=4 * 0.2887 / 200**0.5)


def test_shuffled_rewards_stay_in_their_group_and_mean_nothing(episodes: EpisodeMaker) -> None:
    made = episodes(people=200, attempts=4)
    selected = select(made, Selection(by="shuffled"), 0)
    assert len(selected.best) == len(selected.worst) == 200
    gap = sum((b.reward or 0) - (w.reward or 0)
              for b, w in zip(selected.best, selected.worst, strict=True)) / 200  # fmt: skip
    assert abs(gap) < 4 * (2 / 12) ** 0.5 / 200**0.5
    # By reward the gap is that of the highest and lowest of four draws: 4/5 − 1/5.
    real = select(made, Selection(), 0)
    assert sum((b.reward or 0) - (w.reward or 0)
               for b, w in zip(real.best, real.worst, strict=True)) / 200 > 0.5  # fmt: skip


def test_ties_fall_by_the_seed_and_evenly(episodes: EpisodeMaker) -> None:
    made = [_rated(t, 0.5) for t in episodes(people=1, attempts=4)]
    counts = Counter(select(made, Selection(), seed).best[0].transcript.id for seed in range(400))
    assert len(counts) == 4
    # Binomial(400, 1/4): four standard deviations are 35.
    assert all(abs(n - 100) < 35 for n in counts.values())


def test_vetoed_episodes_are_left_out(episodes: EpisodeMaker) -> None:
    a, b, c, _ = episodes(people=1, attempts=4)
    made = [_rated(a, 1.0, 1.0, vetoed=(1,)), _rated(b, 0.6, 0.4), _rated(c, 0.1, 0.2)]
    selected = select(made, Selection(vetoed="drop-episode"), 0)
    assert selected.dropped == {a.id: "vetoed"}
    assert [o.transcript.id for o in selected.chosen] == [b.id, c.id]


def test_vetoed_turns_are_left_out_and_count_for_nothing(episodes: EpisodeMaker) -> None:
    a, b, c, d = episodes(people=1, attempts=4)
    made = [_rated(a, 0.5, 1.0, vetoed=(1,)), _rated(b, 0.6, 0.6), _rated(c, 0.1, 0.1),
            _rated(d, 0.9, 0.9, vetoed=(0, 1))]  # fmt: skip
    selected = select(made, Selection(vetoed="drop-turn", worst=2), 0)
    assert selected.dropped == {d.id: "vetoed"}
    assert [(o.transcript.id, o.turns, o.reward) for o in selected.chosen] == [
        (b.id, (0, 1), 0.6), (a.id, (0,), 0.5), (c.id, (0, 1), 0.1),
    ]  # fmt: skip


def test_vetoed_turns_become_undesirable(episodes: EpisodeMaker) -> None:
    a, b, c, d = episodes(people=1, attempts=4)
    made = [_rated(a, 1.0, 1.0, vetoed=(1,)), _rated(b, 0.6, 0.6), _rated(c, 0.1, 0.1),
            _rated(d, None, None, vetoed=(0,))]  # fmt: skip
    selected = select(made, Selection(vetoed="negative"), 0)
    assert [(o.transcript.id, o.desirable, o.turns) for o in selected.chosen] == [
        (b.id, True, (0, 1)), (a.id, False, (1,)), (d.id, False, (0,)),
    ]  # fmt: skip
    alone = select(made, Selection(vetoed="negative", worst=0), 0)
    assert [o.transcript.id for o in alone.worst] == [a.id, d.id]
    filled = select(made, Selection(vetoed="negative", worst=3), 0)
    assert [o.transcript.id for o in filled.worst] == [c.id, a.id, d.id]


def test_a_kept_veto_changes_nothing(episodes: EpisodeMaker) -> None:
    a, b, *_ = episodes(people=1, attempts=4)
    made = [_rated(a, 1.0, vetoed=(0,)), _rated(b, 0.5)]
    assert _ids(select(made, Selection(vetoed="keep"), 0)) == [(a.id, True), (b.id, False)]


def test_kinds_can_be_left_out(episodes: EpisodeMaker) -> None:
    made = episodes(people=4)
    selected = select(made, Selection(without=("gameable",)), 0)
    assert {c.transcript.opening.kind for c in selected.chosen} == {"other"}
    assert set(selected.dropped.values()) == {"kind gameable"}
    # What is chosen of the others stays as it was.
    kept = [c for c in _ids(select(made, Selection(), 0)) if c[0] not in selected.dropped]
    assert _ids(selected) == kept


def test_the_same_id_twice_is_refused(episodes: EpisodeMaker) -> None:
    made = episodes(people=1)
    with pytest.raises(ValueError, match="same id"):
        select([*made, made[0]], Selection(), 0)


@pytest.mark.parametrize("values", [{"best": 1.5}, {"worst": -1}, {"best": 0, "worst": 0},
                                    {"group": "user"}])  # fmt: skip
def test_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(values)
