import asyncio
from pathlib import Path

import pytest
import torch
from inspect_ai.model import ChatMessage, ChatMessageUser, GenerateConfig, ModelOutput, get_model

import seedbed.simulation.inspect_model as provider
from seedbed.core.chat import Message, Request
from seedbed.models.chat.local import Local, LocalOptions
from seedbed.models.folders import save_subject
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

# Inspect waits between tries by a keyword of tenacity that is going away.
pytestmark = pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning")
WORDS = "<user> are you well or not today <assistant> i am well thank you <end>\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subject")
    torch.manual_seed(0)
    save_subject(Tiny(layers=1, width=16, heads=2, init=0.5).build([WORDS], [], 0), path)
    return path


def asked(n: int) -> list[list[ChatMessage]]:
    words = ["are", "you", "well", "or", "not", "today"]
    return [[ChatMessageUser(content=" ".join(words[: 1 + i % 6]))] for i in range(n)]


def test_concurrent_calls_share_batches_and_get_what_they_would_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    whole = Local.replies

    def counted(self: Local, requests: list[Request]) -> object:
        sizes.append(len(requests))
        return whole(self, requests)

    monkeypatch.setattr(Local, "replies", counted)
    config = GenerateConfig(temperature=0.8, max_tokens=5, seed=3)

    async def together() -> list[str]:
        model = get_model(f"seedbed/{folder}", config=config, memoize=False)
        found = await asyncio.gather(*(model.generate(m) for m in asked(12)))
        return [f.completion for f in found]

    async def one_by_one() -> list[str]:
        model = get_model(f"seedbed/{folder}", config=config, memoize=False)
        return [(await model.generate(m)).completion for m in asked(12)]

    first = asyncio.run(together())
    assert sizes == [12]
    assert first == asyncio.run(one_by_one())
    assert len(set(first)) > 6
    # The second asking of the same conversation is another draw of the same stream.
    said = Message(role="user", content="are")
    requests = [Request(messages=(said,), max_tokens=5, temperature=0.8, salt=s) for s in "01"]
    local = Local(str(folder), LocalOptions(seed=3))
    assert [reply.text for _, reply in sorted(whole(local, requests))] == [first[0], first[6]]


def test_usage_and_stop_are_those_of_the_model(folder: Path) -> None:
    model = get_model(f"seedbed/{folder}", memoize=False)
    made = asyncio.run(model.generate(asked(1)[0], config=GenerateConfig(max_tokens=1)))
    assert made.usage is not None
    # <user> are, a line break, <assistant>: the template's tokens count.
    assert made.usage.input_tokens == len(
        Local(str(folder), LocalOptions()).subject.tokenizer("<user> are\n<assistant>")["input_ids"]
    )
    assert made.usage.output_tokens == 1 or made.stop_reason == "stop"
    late = asyncio.run(model.generate([ChatMessageUser(content="well " * 3000)]))
    assert late.error is not None
    assert "too long" in late.error


def test_a_conversation_that_cannot_be_read_fails_alone(folder: Path) -> None:
    model = provider.InMemory(str(folder))
    greedy = GenerateConfig(temperature=0.0, max_tokens=4)
    both: list[list[ChatMessage]] = [asked(1)[0], [ChatMessageUser(content="zebra")]]

    async def together() -> list[ModelOutput]:
        return await asyncio.gather(*(model.generate(m, [], "none", greedy) for m in both))

    fine, unread = asyncio.run(together())
    assert fine.error is None
    assert unread.error is not None
    assert "zebra" in unread.error


def test_one_failure_leaves_nobody_waiting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = provider.InMemory(str(folder))
    calls = 0
    whole = Local.replies

    def once(self: Local, requests: list[Request]) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("out of memory")
        return whole(self, requests)

    monkeypatch.setattr(Local, "replies", once)

    async def together() -> list[object]:
        waiting = (model.generate(m, [], "none", GenerateConfig(max_tokens=2)) for m in asked(4))
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = asyncio.run(together())
    assert [isinstance(f, RuntimeError) for f in found].count(True) == 1


def test_an_unknown_folder_is_named(tmp_path: Path) -> None:
    model = provider.InMemory(str(tmp_path / "nothing"))
    with pytest.raises(Exception, match="nothing"):
        asyncio.run(model.generate(asked(1)[0], [], "none", GenerateConfig()))


def test_a_subject_in_memory_needs_no_folder(folder: Path) -> None:
    subject: Subject = Local(str(folder), LocalOptions()).subject
    greedy = GenerateConfig(temperature=0.0, max_tokens=4)
    model = provider.InMemory("mine", subject=subject)
    alone = asyncio.run(model.generate(asked(1)[0], [], "none", greedy))
    named = asyncio.run(get_model(f"seedbed/{folder}", config=greedy).generate(asked(1)[0]))
    assert alone.completion == named.completion
