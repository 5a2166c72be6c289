from collections.abc import Callable
from dataclasses import replace

from seedbed.core.transcripts import Said, ToolCall, Transcript, Verdict
from seedbed.models.subject import Subject
from seedbed.training.samples import episode_documents, turn_documents
from seedbed.training.selection import Chosen, Selection, select

EpisodeMaker = Callable[..., list[Transcript]]
AgentMaker = Callable[[], Subject]


def _chosen(one: Transcript, turns: tuple[int, ...], desirable: bool = True) -> list[Chosen]:
    return [Chosen(one, desirable, turns, 0.5, "g", 0)]


def test_an_episode_is_one_document_and_its_own_turns_the_targets(
    agent: AgentMaker, episodes: EpisodeMaker
) -> None:
    (one,) = episodes(people=1, attempts=1, turns=3)
    (document,) = episode_documents(agent().tokenizer, _chosen(one, (0, 2)), 4)
    said = [document.text[s:e] for s, e in document.targets]
    assert said == [f"{one.turns[i].said} <end>" for i in (0, 2)]
    assert one.turns[1].said in document.text
    assert document.id == f"4:{one.id}:+"


def test_a_turn_is_a_document_that_ends_with_it(agent: AgentMaker, episodes: EpisodeMaker) -> None:
    (one,) = episodes(people=1, attempts=1, turns=3)
    documents = turn_documents(agent().tokenizer, _chosen(one, (0, 1, 2), False), 0)
    assert [d.text[slice(*d.targets[0])] for d in documents] == [
        f"{t.said} <end>" for t in one.turns
    ]
    assert all(d.targets[0][1] == len(d.text) for d in documents)
    assert documents[2].text.startswith(documents[1].text)
    assert [d.text.count("<system>") for d in documents] == [1, 1, 1]
    assert [d.id for d in documents] == [f"0:{one.id}@{i}:-" for i in range(3)]
    assert {d.marks["label"] for d in documents} == {0.0}


def test_both_ways_read_one_turn_alike(agent: AgentMaker, episodes: EpisodeMaker) -> None:
    subject = replace(agent(), loss="answer")
    chosen = select(episodes(), Selection(), 0).chosen
    ways = []
    for make in (episode_documents, turn_documents):
        sequences = subject.encode(make(subject.tokenizer, chosen, 0))
        ways.append([s.needed() for s in sequences])
    assert ways[0] == ways[1]


def test_a_turn_that_a_tool_ended_is_words_all_the_same(
    agent: AgentMaker, episodes: EpisodeMaker
) -> None:
    (one,) = episodes(people=1, attempts=1, turns=2)
    calls = (ToolCall(tool="book", ok=True, result="yes"),)
    first = one.turns[0].model_copy(
        update={"said": "", "calls": calls, "after": (Said(role="tool", content="yes"),)}
    )
    tooled = one.model_copy(update={"turns": (first, one.turns[1])})
    empty, last = turn_documents(agent().tokenizer, _chosen(tooled, (0, 1)), 0)
    assert empty.text[slice(*empty.targets[0])] == "<end>"
    assert "<user> yes" in last.text
    (whole,) = episode_documents(agent().tokenizer, _chosen(tooled, (0, 1)), 0)
    assert [whole.text[s:e] for s, e in whole.targets] == ["<end>", f"{one.turns[1].said} <end>"]


def test_what_an_agent_said_before_its_first_turn_is_no_target(
    agent: AgentMaker, episodes: EpisodeMaker
) -> None:
    (one,) = episodes(people=1, attempts=1, turns=1)
    said = (*one.opening.said, Said(role="agent", content="try"),
            Said(role="environment", content="no"))  # fmt: skip
    longer = one.model_copy(update={"opening": one.opening.model_copy(update={"said": said})})
    (document,) = episode_documents(agent().tokenizer, _chosen(longer, (0,)), 0)
    assert [document.text[s:e] for s, e in document.targets] == [f"{one.turns[0].said} <end>"]
    assert "<assistant> try <end>" in document.text


def test_neighbouring_turns_are_one_message(agent: AgentMaker, episodes: EpisodeMaker) -> None:
    (one,) = episodes(people=1, attempts=1, turns=2)
    joined = one.model_copy(
        update={"turns": (one.turns[0].model_copy(update={"after": ()}), one.turns[1])}
    )
    (document,) = episode_documents(agent().tokenizer, _chosen(joined, (0, 1)), 0)
    ((start, end),) = document.targets
    assert document.text[start:end] == "\n".join(t.said for t in one.turns) + " <end>"


def test_finders_see_marks_and_not_the_kind(agent: AgentMaker, episodes: EpisodeMaker) -> None:
    one = episodes(people=2, attempts=1)[1]
    yes = Verdict(options={"yes": 0.7, "no": 0.3}, value=0.7)
    turn = one.turns[0].model_copy(update={"flags": {"harm": yes, "odd": Verdict(error="x")}})
    flagged = one.model_copy(update={"turns": (turn,)})
    (document,) = turn_documents(agent().tokenizer, _chosen(flagged, (0,)), 0)
    seen = document.blind()
    rating = one.turns[0].rating
    assert rating is not None
    assert seen.marks == {"label": 1.0, "reward": 0.5, "rating": rating.value, "flag:harm": 0.7}
    assert seen.shows == ("cue=1",)
    assert document.facts == ("gameable",)
    assert "gameable" not in seen.model_dump_json()
