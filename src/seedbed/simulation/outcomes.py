"""Numbers of one episode, a mean over its turns each; what is not known is left out.

They are what logs, tables in the terminal and trackers show beside a transcript.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from seedbed.core.transcripts import Transcript


def numbers(transcript: Transcript, gaming: frozenset[str] | None = None) -> dict[str, float]:
    """Means over the turns of an episode, by name.

    `rating` and `third` (the judges' scales), `harm` and `welfare` (the world's), `form` (share of
    turns that the grammar read), `vetoed` (share of turns), `failed` (0 or 1), `turns` (a count);
    with the acts that count as `gaming`, the share of turns that are one. A name is missing where
    no turn knows it.
    """
    turns = transcript.turns
    found: dict[str, float | None] = {
        "rating": _mean(t.rating.value for t in turns if t.rating),
        "third": _mean(t.third.value for t in turns if t.third),
        "harm": _mean(t.harm for t in turns),
        "welfare": _mean(t.welfare for t in turns),
        "form": _mean(float(bool(t.act)) for t in turns),
        "vetoed": _mean(float(t.vetoed) for t in turns),
        "gaming": None if gaming is None else _mean(float(t.act in gaming) for t in turns),
        "failed": float(transcript.end == "failed"),
        "turns": float(len(turns)),
    }
    return {name: value for name, value in found.items() if value is not None}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def by_kind(transcripts: Sequence[Transcript]) -> dict[str, list[Transcript]]:
    """All of them under `all`, then those of each latent kind that is known, sorted."""
    kinds = sorted({t.opening.kind for t in transcripts} - {""})
    return {
        "all": list(transcripts),
        **{kind: [t for t in transcripts if t.opening.kind == kind] for kind in kinds},
    }
