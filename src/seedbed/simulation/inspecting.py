"""Transcripts as logs of Inspect, which `inspect view` opens, and back.

One log holds the episodes of one environment, condition, arm, seed and iteration.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedbed.core.config import digest
from seedbed.core.errors import DataError, MissingExtra
from seedbed.core.files import atomic_file
from seedbed.core.transcripts import Transcript
from seedbed.simulation.kept import Kept, Origin
from seedbed.simulation.outcomes import numbers

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

Tokens = Callable[[str], int]
Group = tuple[Origin, int, str]
NUMBERS = ("rating", "third", "harm", "welfare", "form", "gaming", "vetoed", "failed", "turns")


def need_inspect() -> None:
    """Raises MissingExtra where Inspect is not installed."""
    if find_spec("inspect_ai") is None:
        raise MissingExtra("inspect-ai", "inspect")


def grouped(kept: Iterable[Kept]) -> dict[Group, list[Transcript]]:
    """Transcripts by origin, iteration and environment, each group in its order."""
    found: dict[Group, list[Transcript]] = {}
    for one in kept:
        t = one.transcript
        found.setdefault((one.origin, t.iteration, t.opening.environment), []).append(t)
    return found


def write_logs(
    kept: Iterable[Kept],
    folder: Path,
    at: datetime | None = None,
    form: Literal["eval", "json"] = "eval",
    tokens: Tokens | None = None,
) -> list[Path]:
    """Write one log a group into `folder` and return their paths.

    `at` is the time they bear (default: now); with it, equal transcripts give equal logs
    (byte by byte in `json`; an `eval` file is a zip, which notes when it was written). `tokens`
    counts those of a text, for the usage of the agent; without it none is given. Raises
    MissingExtra without Inspect.
    """
    need_inspect()
    from inspect_ai.log import write_eval_log

    moment = at or datetime.now(UTC).replace(microsecond=0)
    paths = []
    for group, transcripts in grouped(kept).items():
        path = folder / f"{_name(group)}.{form}"
        log = as_log(group, transcripts, moment, tokens)
        with atomic_file(path) as temporary:
            write_eval_log(log, temporary, format=form)
        paths.append(path)
    return paths


def _name(group: Group) -> str:
    origin, iteration, environment = group
    seed = "" if origin.seed is None else f"seed-{origin.seed}"
    words = [environment, origin.condition, origin.arm, seed, f"iteration-{iteration:03d}"]
    return "_".join(word.replace("/", "-") for word in words if word)


def as_log(
    group: Group, transcripts: Sequence[Transcript], at: datetime, tokens: Tokens | None = None
) -> "EvalLog":
    """One log of the episodes of `group`; its metrics are means with errors clustered by user."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec, EvalStats

    from seedbed import __version__

    origin, iteration, environment = group
    model = "seedbed/" + "+".join(w for w in (origin.condition, origin.arm) if w) + f"@{iteration}"
    facts: dict[str, Any] = {"condition": origin.condition, "arm": origin.arm, "seed": origin.seed,
                             "iteration": iteration, "environment": environment}  # fmt: skip
    key = digest([facts, at.isoformat(), [t.model_dump(mode="json") for t in transcripts]])
    samples = [_sample(t, model, at, tokens) for t in transcripts]
    people = list(dict.fromkeys(str(s.id) for s in samples))
    done = sum(s.error is None for s in samples)
    usage = {} if tokens is None else {model: sum_usage(samples)}
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=key[:22], run_id=digest(facts)[:22], task_id=digest(environment)[:22],
            created=at.isoformat(), task=f"users_{environment.replace('-', '_')}",
            dataset=EvalDataset(name=environment, samples=len(people), sample_ids=list(people)),
            model=model, packages={"seedbed": __version__}, metadata=facts,
            config=EvalConfig(epochs=max(s.epoch for s in samples)),
            tags=[w for w in (origin.condition, origin.arm, f"iteration {iteration}") if w],
        ),
        stats=EvalStats(started_at=at.isoformat(), completed_at=at.isoformat(), model_usage=usage),
        results=EvalResults(total_samples=len(samples), completed_samples=done,
                            logged_samples=len(samples), scores=_metrics(samples)),
        samples=samples,
    )  # fmt: skip


def _sample(t: Transcript, model: str, at: datetime, tokens: Tokens | None) -> "EvalSample":
    from inspect_ai.model import ModelUsage
    from inspect_ai.scorer import Score

    from seedbed.simulation.inspect_samples import as_sample

    known = numbers(t)
    scores = {name: Score(value=known[name]) for name in NUMBERS if name in known}
    acts = " ".join(turn.act or "?" for turn in t.turns)
    unread = "; ".join(turn.unread for turn in t.turns if turn.unread)
    if t.turns:
        scores["act"] = Score(value=acts, explanation=unread or None)
    usage = None
    if tokens is not None:
        read = sum(tokens(s.content) for i in range(len(t.turns)) for s in t.before(i))
        written = sum(tokens(turn.said) for turn in t.turns)
        usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
    return as_sample(t, scores, model, at, usage)


def sum_usage(samples: "Sequence[EvalSample]") -> Any:
    """The usage of all samples together."""
    from inspect_ai.model import ModelUsage

    each = [usage for s in samples for usage in s.model_usage.values()]
    read, written = sum(u.input_tokens for u in each), sum(u.output_tokens for u in each)
    return ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _metrics(samples: "Sequence[EvalSample]") -> list[Any]:
    """A score an outcome, with mean and standard error over all users and over each kind."""
    from inspect_ai.log import EvalMetric, EvalScore
    from inspect_ai.scorer import SampleScore, mean, stderr

    kinds = sorted({s.metadata["kind"] for s in samples} - {""})
    found = []
    for name in NUMBERS:
        known: list[SampleScore] = [
            SampleScore(score=s.scores[name], sample_id=s.id, sample_metadata=s.metadata)
            for s in samples if s.scores and name in s.scores
        ]  # fmt: skip
        if not known:
            continue
        metrics: dict[str, EvalMetric] = {}
        for kind in ("all", *kinds):
            some = [k for k in known if kind in ("all", (k.sample_metadata or {})["kind"])]
            for metric, of in (("mean", mean()), ("stderr", stderr(cluster="person"))):
                if some:
                    label = metric if kind == "all" else f"{kind} {metric}"
                    value: Any = of(some)  # type: ignore[arg-type]  # a union with old forms
                    metrics[label] = EvalMetric(name=label, value=value)
        found.append(
            EvalScore(name=name, scorer=name, metrics=metrics, scored_samples=len(known),
                      unscored_samples=len(samples) - len(known))
        )  # fmt: skip
    return found


def read_logs(place: Path) -> list[Kept]:
    """The transcripts of a log that `write_logs` wrote, or of all logs in a folder.

    Inspect orders the samples of a log by attempt, then by user.
    Raises DataError for a log of something else, MissingExtra without Inspect.
    """
    need_inspect()
    from inspect_ai.log import list_eval_logs, read_eval_log

    from seedbed.simulation.inspect_samples import as_transcript

    logs = [place.as_posix()]
    if place.is_dir():
        logs = [info.name for info in list_eval_logs(place.as_posix(), descending=False)]
    found = []
    for name in logs:
        log = read_eval_log(name, resolve_attachments="full")
        facts = log.eval.metadata or {}
        try:
            origin = Origin(facts["condition"], facts["arm"], facts["seed"])
            found += [Kept(origin, as_transcript(sample)) for sample in log.samples or ()]
        except (KeyError, ValueError) as error:
            raise DataError(name, None, f"is no log of seedbed's transcripts ({error})") from error
    return found
