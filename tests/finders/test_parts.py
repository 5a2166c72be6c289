import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.finders.base import FINDERS
from seedbed.finders.parts import asked_by_parts, parts_of, replaced, text_at
from seedbed.models.subject import Subject

PLACES = {"x1": (2, 7), "x1.sign": (2, 3), "x1.tenths": (5, 6), "x2": (8, 13), "word": (14, 17),
          "both": (2, 13)}  # fmt: skip


def question(prompt: str = "F[+1.64,-0.55]dog=", key: str = "q") -> Question:
    return Question(id=key, prompt=prompt, choices=(" a", " b"), answer=" a", places=PLACES)


def shown(q: Question) -> dict[str, str]:
    return {name: q.prompt[a:b] for name, (a, b) in q.places.items()}


def test_other_places_keep_their_texts() -> None:
    assert shown(replaced(question(), "x1.sign", "-")) == {
        "x1": "-1.64", "x1.sign": "-", "x1.tenths": "6", "x2": "-0.55", "word": "dog",
        "both": "-1.64,-0.55",
    }  # fmt: skip
    longer = replaced(question(), "x1", "+10.64")
    assert longer.prompt == "F[+10.64,-0.55]dog="
    # What a new number's tenths are nobody has said.
    assert shown(longer) == {"x1": "+10.64", "x2": "-0.55", "word": "dog", "both": "+10.64,-0.55"}
    gone = replaced(question(), "x1", "")
    assert shown(gone) == {"x2": "-0.55", "word": "dog", "both": ",-0.55"}


def test_places_drawn_at_random_hold_what_stood_there() -> None:
    rng = stream(0, "spans")
    for _ in range(300):
        prompt = "".join(rng.choice("abcdefgh") for _ in range(12))
        ends = [sorted(rng.sample(range(13), 2)) for _ in range(6)]
        places = {str(i): (a, b) for i, (a, b) in enumerate(ends)}
        q = Question(id="q", prompt=prompt, answer="a", places=places)
        new = rng.choice(["", "X", "XY", "XYZUVW"])
        done = replaced(q, "0", new)
        start, end = places["0"]
        assert done.prompt == prompt[:start] + new + prompt[end:]
        assert ("0" in done.places) == bool(new)
        for name, span in done.places.items():
            a, b = places[name]
            if b <= start or a >= end:
                assert done.prompt[slice(*span)] == prompt[a:b]
            elif a <= start and b >= end:
                assert done.prompt[slice(*span)] == prompt[a:start] + new + prompt[end:b]


def test_nothing_leaves_no_double_space() -> None:
    q = Question(id="q", prompt="say the word now", answer="a", places={"w": (8, 12)})
    assert replaced(q, "w", "").prompt == "say the now"
    end = Question(id="q", prompt="say the word", answer="a", places={"w": (8, 12)})
    assert replaced(end, "w", "").prompt == "say the"
    first = Question(id="q", prompt="say the word", answer="a", places={"w": (0, 3)})
    assert replaced(first, "w", "").prompt == " the word"


def test_sites_are_places_in_order_of_appearance() -> None:
    other = question(key="r").model_copy(update={"places": {"word": (14, 17), "new": (0, 1)}})
    assert parts_of([question(), other]) == (*PLACES, "new")
    assert text_at(other, "new") == "F"


def test_a_part_may_be_called_last(taught: tuple[Subject, list[Question]]) -> None:
    subject, questions = taught
    named = [q.model_copy(update={"places": {"last": q.places["first"], "word": q.places["word"]}})
             for q in questions]  # fmt: skip
    assert asked_by_parts(subject, named[:1])[0].places["last"] == (3,)
    for kind in ("input-gradients", "part-patching", "part-masking"):
        claim = FINDERS.build(kind).find(subject, [], named, [])
        plain = FINDERS.build(kind).find(subject, [], questions, [])
        same = plain.scores[:, plain.sites.index("first")]
        assert claim.scores[:, claim.sites.index("last")] == pytest.approx(same, rel=1e-4, abs=1e-5)


def test_what_cannot_be_scored_is_named() -> None:
    with pytest.raises(InputError, match="no questions"):
        parts_of([])
    with pytest.raises(InputError, match=r"question 'r': has no places"):
        parts_of([question(), question(key="r").model_copy(update={"places": {}})])
    with pytest.raises(InputError, match=r"question 'r': at least two choices"):
        parts_of([question(key="r").model_copy(update={"choices": (" a",)})])
