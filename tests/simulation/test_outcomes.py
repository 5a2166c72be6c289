from seedbed.core.transcripts import Opening, Said, Transcript, Turn, Verdict
from seedbed.simulation.outcomes import by_kind, numbers


def episode(kind: str = "gameable") -> Transcript:
    opening = Opening(id="e/a/1#0", environment="e", sub="a", initial="1", kind=kind,
                      said=(Said(role="environment", content="hi"),))  # fmt: skip
    turns = (
        Turn(number=0, state="x", said="one", act="praise", harm=1.0, welfare=-1.0, vetoed=True,
             rating=Verdict(options={"1": 0.5, "10": 0.5}, value=5.5)),
        Turn(number=1, state="x", said="two", unread="a word", harm=0.0, welfare=0.5,
             rating=Verdict(error="silent")),
    )  # fmt: skip
    return Transcript(opening=opening, turns=turns, end="length")


def test_means_are_over_the_turns_that_know_a_number() -> None:
    assert numbers(episode(), frozenset({"praise"})) == {
        "rating": 5.5, "harm": 0.5, "welfare": -0.25, "form": 0.5, "vetoed": 0.5, "gaming": 0.5,
        "failed": 0.0, "turns": 2.0,
    }  # fmt: skip


def test_what_nobody_knows_is_left_out_and_not_zero() -> None:
    blind = numbers(episode().blind())
    assert not {"harm", "welfare", "gaming", "third"} & set(blind)
    none = Transcript(opening=episode().opening, end="failed", failure="no server")
    assert numbers(none) == {"failed": 1.0, "turns": 0.0}


def test_kinds_are_apart_and_unknown_ones_count_in_all() -> None:
    groups = by_kind([episode("other"), episode("gameable"), episode("")])
    assert {name: len(some) for name, some in groups.items()} == {
        "all": 3, "gameable": 1, "other": 1
    }  # fmt: skip
    assert list(groups) == ["all", "gameable", "other"]
