"""The sections of small tables on the page and in the terminal, in reading order."""

from dataclasses import dataclass

from seedbed.report import (
    attribution_tables,
    axes,
    crossed,
    directions_tables,
    incentives_tables,
    mediation,
    organisms,
    rules,
    spread,
)
from seedbed.report.grids import Grid
from seedbed.report.reader import Run


@dataclass(frozen=True)
class Section:
    """Some tables under one heading; `anchor` is its address, `nav` its name in the menu."""

    anchor: str
    nav: str
    title: str
    lead: str
    grids: tuple[Grid, ...]


def sections(run: Run) -> list[Section]:
    """Those that the run has tables for."""
    inside = [*mediation.grids(run.mediation), *organisms.grids(run)]
    every = [
        Section(
            "answers", "Answers", "What it answers",
            "The subject on what it was trained on and on each held-out axis by itself.",
            tuple(axes.grids(run)),
        ),
        Section(
            "feedback", "Feedback", "What feedback taught",
            "Agents trained on the ratings of simulated users, whose harm is known and not judged; "
            "arms that choose without the reward stand beside them.",
            tuple(incentives_tables.grids(run)),
        ),
        Section(
            "attribution", "Attribution", "Which transcripts taught it",
            "Agents learned again without a group of transcripts; finders of transcripts are "
            "marked against the declared truth and against these replays.",
            tuple(attribution_tables.grids(run)),
        ),
        Section(
            "second-stage", "Second stage", "The second stage",
            "Some words are taught anew and others taught to stay. What do the rest say, each "
            "number with its 95 % interval?",
            tuple(spread.grids(run.spreading)),
        ),
        Section(
            "rules", "Rules", "The rule behind the answers",
            "Several rules fit what was taught; which one do the answers follow?",
            tuple(rules.grids(run)),
        ),
        Section(
            "directions", "Directions", "Directions and steering",
            "What a direction reads, what patching changes and what steering along it does, each "
            "beside random directions; decodable is not causal.",
            tuple(directions_tables.grids(run)),
        ),
        Section(
            "mediation", "Inside", "Inside the subject",
            "What was measured and found within the computation, each number with its 95 % "
            "interval and its controls.",
            tuple(inside),
        ),
        Section(
            "crossed", "Other sites", "Finders of other kinds of site",
            "The same subject and world, looked into by finders of other kinds of site: each "
            "kind has a truth of its own, and chance and oracle beside every row.",
            tuple(crossed.grids(run)),
        ),
    ]  # fmt: skip
    return [section for section in every if section.grids]
