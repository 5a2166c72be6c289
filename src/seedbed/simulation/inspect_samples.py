"""One episode as a sample of an Inspect log, and back: messages, tool calls and events.

A turn's record stands in its message's metadata and its tool calls in tool events, so that
nothing is kept twice and reading back needs no copy of the transcript.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from inspect_ai.event import (
    Event,
    InfoEvent,
    ModelEvent,
    ScoreEvent,
    SpanBeginEvent,
    SpanEndEvent,
    StateEvent,
    ToolEvent,
)
from inspect_ai.log import EvalError, EvalSample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score
from inspect_ai.tool import ToolCall as InspectCall
from inspect_ai.tool import ToolCallError

from seedbed.core.config import digest
from seedbed.core.transcripts import Opening, Said, ToolCall, Transcript, Turn

TURN = "turn"
_MESSAGES: dict[str, Any] = {
    "system": ChatMessageSystem, "environment": ChatMessageUser, "tool": ChatMessageTool
}  # fmt: skip
_ROLES = {"system": "system", "user": "environment", "assistant": "agent", "tool": "tool"}


def messages_of(transcript: Transcript) -> list[ChatMessage]:
    """The whole conversation; an agent's message holds its tool calls and the turn's record.

    The turn's record is all of `Turn` but what the messages themselves and tool events say.
    """
    said = transcript.opening.said
    found = [_plain(one, f"opening.{i}") for i, one in enumerate(said)]
    for turn in transcript.turns:
        calls = [InspectCall(id=f"call.{turn.number}.{k}", function=c.tool, arguments=c.arguments)
                 for k, c in enumerate(turn.calls)]  # fmt: skip
        record = turn.model_dump(mode="json", exclude={"said", "after", "calls"})
        name = f"turn.{turn.number}"
        found.append(
            ChatMessageAssistant(id=name, content=turn.said, source="generate",
                                 tool_calls=calls or None, metadata={TURN: record})
        )  # fmt: skip
        results = list(zip(calls, turn.calls, strict=True))
        for i, one in enumerate(turn.after):
            message = _plain(one, f"{name}.{i}")
            if isinstance(message, ChatMessageTool) and results:
                call, outcome = results.pop(0)
                message = message.model_copy(
                    update={"tool_call_id": call.id, "function": call.function,
                            "error": _error(outcome)}
                )  # fmt: skip
            found.append(message)
    return found


def _plain(said: Said, name: str) -> ChatMessage:
    if said.role == "agent":
        return ChatMessageAssistant(id=name, content=said.content, source="input")
    message: ChatMessage = _MESSAGES[said.role](id=name, content=said.content)
    return message


def _error(call: ToolCall) -> ToolCallError | None:
    if call.ok:
        return None
    kind = "timeout" if call.fault == "timeout" else "unknown"
    return ToolCallError(kind, call.fault or call.result)  # type: ignore[arg-type]  # a Literal


def as_sample(
    transcript: Transcript, scores: Mapping[str, Score], model: str, at: datetime,
    usage: ModelUsage | None = None,
) -> EvalSample:  # fmt: skip
    """The episode with its events.

    The user is the sample and the attempt its epoch. `model` names the agent, `at` is the time
    that all events bear, a microsecond apart in their order. A failed episode is an errored sample.
    """
    opening = transcript.opening
    messages = messages_of(transcript)
    begun = len(opening.said)
    key = digest([model, at.isoformat(), transcript.model_dump(mode="json")])[:22]
    for message in messages:
        message.id = f"{key}.{message.id}"
    events = _stamped(_events(transcript, messages, scores, model), key, at)
    said = [m for m in messages if isinstance(m, ChatMessageAssistant) and m.source == "generate"]
    error = None
    if transcript.failure:
        error = EvalError(message=transcript.failure, traceback="", traceback_ansi="")
    meta = {**opening.model_dump(mode="json", exclude={"said"}), "person": opening.person,
            "end": transcript.end, "iteration": transcript.iteration}  # fmt: skip
    return EvalSample(
        id=opening.person, epoch=opening.attempt + 1, input=messages[:begun], target="",
        messages=messages, scores=dict(scores), metadata=meta, events=events,
        output=ModelOutput.from_message(said[-1]) if said else ModelOutput(model=model),
        model_usage={model: usage} if usage else {}, error=error, uuid=key,
        started_at=at.isoformat(), completed_at=at.isoformat(), turn_count=len(transcript.turns),
    )  # fmt: skip


def _events(
    transcript: Transcript, messages: Sequence[ChatMessage], scores: Mapping[str, Score], model: str
) -> Iterator[Event]:
    at = {id(m): i for i, m in enumerate(messages)}
    said = [m for m in messages if isinstance(m, ChatMessageAssistant) and m.source == "generate"]
    for turn, message in zip(transcript.turns, said, strict=True):
        span = f"turn.{turn.number}"
        yield SpanBeginEvent(id=span, name=f"turn {turn.number}, state {turn.state}", type="turn")
        yield ModelEvent(
            model=model, input=list(messages[: at[id(message)]]), tools=[], tool_choice="none",
            config=GenerateConfig(), output=ModelOutput.from_message(message), span_id=span,
        )  # fmt: skip
        for k, call in enumerate(turn.calls):
            yield ToolEvent(
                id=f"call.{turn.number}.{k}", function=call.tool, arguments=call.arguments,
                result=call.result, error=_error(call), metadata={"fault": call.fault},
                span_id=span, failed=not call.ok,
            )  # fmt: skip
        if turn.moved:
            change: Any = {"op": "replace", "path": "/move", "value": turn.moved}
            yield StateEvent(changes=[change], metadata={"moves": turn.moves}, span_id=span)
        verdicts = {"rating": turn.rating, "third": turn.third, **turn.flags}
        for name, verdict in verdicts.items():
            if verdict is not None:
                yield InfoEvent(source=name, data=verdict.model_dump(mode="json"), span_id=span)
        yield SpanEndEvent(id=span)
    for name, score in scores.items():
        yield ScoreEvent(score=score, target="", scorer=name)


def _stamped(events: Iterator[Event], key: str, at: datetime) -> list[Event]:
    found = []
    for i, event in enumerate(events):
        event.uuid = f"{key}.{i}"
        event.timestamp = at + timedelta(microseconds=i)
        event.working_start = 0.0
        found.append(event)
    return found


def as_transcript(sample: EvalSample) -> Transcript:
    """The transcript that `as_sample` wrote: the same in every field.

    Raises ValueError for a sample that holds no such record.
    """
    meta = dict(sample.metadata)
    calls: dict[int, list[ToolCall]] = {}
    for event in sample.events:
        if isinstance(event, ToolEvent):
            number = int(event.id.split(".")[1])
            calls.setdefault(number, []).append(
                ToolCall(tool=event.function, arguments=event.arguments, ok=event.error is None,
                         result=str(event.result), fault=(event.metadata or {}).get("fault", ""))
            )  # fmt: skip
    opening: list[Said] = []
    turns: list[dict[str, Any]] = []
    for message in sample.messages:
        record = (message.metadata or {}).get(TURN)
        if record is not None:
            turns.append({**record, "said": message.text, "after": [],
                          "calls": calls.get(record["number"], ())})  # fmt: skip
            continue
        said = Said.model_validate({"role": _ROLES[message.role], "content": message.text})
        (turns[-1]["after"] if turns else opening).append(said)
    missing = {"person", "end", "iteration"} - set(meta)
    if missing:
        raise ValueError(f"sample {sample.id}: its metadata lacks {', '.join(sorted(missing))}")
    end, iteration = meta.pop("end"), meta.pop("iteration")
    meta.pop("person")
    return Transcript(
        opening=Opening.model_validate({**meta, "said": opening}),
        turns=tuple(Turn.model_validate(turn) for turn in turns),
        iteration=iteration, end=end, failure=sample.error.message if sample.error else "",
    )  # fmt: skip
