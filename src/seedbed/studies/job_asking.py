"""Steps of jobs that ask the model: as it is, with a direction in place, with random ones.

Every arm is asked the same questions, so that differences are taken item by item.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.files import read_json, read_rows, write_json, write_rows
from seedbed.core.units import Units
from seedbed.measuring.harness import Harness, HarnessRow, Sample, evaluate
from seedbed.measuring.interventions import placed, random_like
from seedbed.measuring.likelihoods import Intervention, Progress
from seedbed.measuring.written import WrittenChoice, write_choices
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.steering import Steer
from seedbed.scoring.intervals import wilson
from seedbed.scoring.units import Resampled
from seedbed.studies.job_steps import Made, Rows, edges, loaded
from seedbed.studies.jobs import Intervening, Task
from seedbed.worlds.observed.source import read_items
from seedbed.worlds.observed.splitting import CLASSES, TEST

PLAIN, STEERED, LESS = "plain", "steered", "-less-plain"
MARKS = ("correct", "unparsed")


def arms_of(task: Task, needed: Path | None) -> dict[str, Intervention | None]:
    """What is asked in turn: plain, and where there is an intervention steered and random-K."""
    found: dict[str, Intervention | None] = {PLAIN: None}
    config = task.job.intervention
    if config is None or needed is None:
        return found
    directions = loaded(task, needed, config.direction)
    steer = steer_of(config, directions, task)
    found[STEERED] = placed(steer, directions)
    for draw in range(config.controls):
        control = random_like(directions, draw, task.job.seed)
        found[f"random-{draw}"] = placed(steer, control)
    return found


def steer_of(config: Intervening, directions: Directions, task: Task) -> Steer:
    """The way of steering, at the cells of the layers; raises InputError where one has none."""
    by_site = {site_of(Cell.parse(name)): name for name in directions.sites}
    names = []
    blocks = blocks_of(task.subject.model)
    every = edges(blocks, config.layers, "intervention.layers")
    for layer, site in zip(config.layers, every, strict=True):
        if site not in by_site:
            raise InputError(f"{task.name}: intervention.layers: there is no direction at layer"
                             f" {layer}, which is {site.name}")  # fmt: skip
        names.append(by_site[site])
    return config.steer.model_copy(update={"sites": tuple(names)})


def accuracy(task: Task, needed: Path | None) -> Made:
    """Accuracy by generation, memory and reasoning apart."""
    job, config, world = task.job, task.job.accuracy, task.world
    by_split = world.items_by_split(job.seed)
    items = []
    for kind in CLASSES:
        mine = [i for i in by_split[TEST] if world.class_of(i) == kind]
        items += mine[: config.most] if config.most else mine
    kinds = [world.class_of(i) for i in items]
    examples = by_split["train"]
    if config.examples is not None:
        examples = read_items(config.examples, task.place.workspace.root)
    said: dict[str, list[WrittenChoice]] = {}
    for arm, intervention in arms_of(task, needed).items():
        path = task.folder / f"answers-{arm}.jsonl"
        if not path.exists():
            task.say(f"{task.name}: {arm}, {len(items)} items")
            edits = () if intervention is None else _by_prompts(intervention)
            found = write_choices(task.subject, items, kinds, examples, config.writing, edits,
                                  job.seed)  # fmt: skip
            write_rows(path, found)
        said[arm] = read_rows(path, WrittenChoice)
    rows: Rows = []
    for kind in CLASSES:
        marks = {arm: [_marks(a) for a in answers if a.kind == kind]
                 for arm, answers in said.items()}  # fmt: skip
        rows += [{"arm": arm, "slice": kind, **_share(name, [m[name] for m in mine])}
                 for arm, mine in marks.items() for name in MARKS]  # fmt: skip
        rows += [{"slice": kind, **row} for row in _differences(marks)]
    about = (
        "Share of items of test whose written letter is right (correct; no letter is wrong) and"
        " that give no letter (unparsed), memory and reasoning apart, with 95 % Wilson intervals;"
        f" ARM{LESS}: the mean difference item by item, with a bootstrap interval. random-K: the"
        " same steps along random directions."
    )
    return about, rows


def _by_prompts(intervention: Intervention) -> Any:
    return lambda _, prompts: intervention([len(ids) for ids in prompts])


def _marks(answer: WrittenChoice) -> dict[str, float]:
    return {"correct": float(answer.correct), "unparsed": float(answer.outcome != "choice")}


def _share(name: str, values: Sequence[float]) -> dict[str, Any]:
    low, high = wilson(sum(values), len(values))
    return {"name": name, "value": sum(values) / len(values), "low": low, "high": high,
            "n": len(values)}  # fmt: skip


def _differences(marks: Mapping[str, Sequence[Mapping[str, float]]]) -> Rows:
    """Rows of every arm less plain, item by item, over the marks that both have."""
    rows: Rows = []
    plain = marks[PLAIN]
    names = list(dict.fromkeys(name for mine in plain for name in mine))
    for arm, mine in marks.items():
        if arm == PLAIN or not plain:
            continue
        gaps = np.array([[a.get(n, np.nan) - b.get(n, np.nan) for n in names]
                         for a, b in zip(mine, plain, strict=True)])  # fmt: skip
        units = tuple(map(str, range(len(plain))))
        table = Units(units, units, tuple(names), gaps)
        for name, interval in zip(names, Resampled([table]).means(), strict=True):
            rows.append({"arm": f"{arm}{LESS}", "name": name, "value": interval.value,
                         "low": interval.low, "high": interval.high, "n": len(plain)})  # fmt: skip
    return rows


def harness(task: Task, needed: Path | None) -> Made:
    """lm-eval's tasks, as the model is and with the intervention in place."""
    config = _in_workspace(task)
    by_arm: dict[str, list[Sample]] = {}
    rows: Rows = []
    for arm, intervention in arms_of(task, needed).items():
        path = task.folder / f"harness-{arm}.json"
        samples = task.folder / f"samples-{arm}.jsonl"
        if not path.exists():
            task.say(f"{task.name}: {arm}, {', '.join(config.tasks)}")
            found = evaluate(config, task.subject, intervention, progress=_tenths(task, arm))
            write_rows(samples, found.samples)
            write_json(
                path, {"told": found.told, "rows": [r.model_dump(mode="json") for r in found.rows]}
            )
        by_arm[arm] = [] if not samples.stat().st_size else _samples(samples)
        rows += [{"arm": arm, **HarnessRow.model_validate(r).model_dump()}
                 for r in read_json(path)["rows"]]  # fmt: skip
    tasks = {name: [name] for name in dict.fromkeys(s.task for s in by_arm[PLAIN])}
    groups = read_json(task.folder / f"harness-{PLAIN}.json")["told"]["groups"]
    for name, mine in {**groups, **tasks}.items():
        marks = {arm: [s.values for s in kept if s.task in mine] for arm, kept in by_arm.items()}
        rows += [
            {
                "task": name,
                "chosen": row["name"].partition(",")[2],
                **row,
                "metric": row["name"].partition(",")[0],
            }
            for row in _differences(marks)
        ]
    about = (
        "lm-eval's metrics by task and group, with 95 % intervals (Wilson's where each question"
        f" counts 0 or 1, else its standard error times 1.96). ARM{LESS}: the mean difference"
        " question by question, with a bootstrap interval. random-K: the same steps along random"
        " directions. harness-ARM.json tells versions, few-shot counts and how many requests lost"
        " the beginning of their context; samples-ARM.jsonl what each question counted."
    )
    return about, rows


def _tenths(task: Task, arm: str) -> Progress:
    """Says so at every tenth of the work."""
    said = [0]

    def progress(done: int, total: int) -> None:
        tenth = 10 * done // total
        if done < total and tenth != said[0]:
            task.say(f"{task.name}: {arm}, {done} of {total}")
        said[0] = tenth

    return progress


def _samples(path: Path) -> list[Sample]:
    from seedbed.core.files import read_objects

    return [Sample.model_validate(value) for _, value in read_objects(path)]


def _in_workspace(task: Task) -> Harness:
    """The settings with the data set's place, where the workspace or the cache has it."""
    config = task.job.harness
    assert config is not None
    if not config.dataset:
        return config
    try:
        place = task.place.workspace.dataset(config.dataset)
    except InputError:
        return config.model_copy(update={"dataset": ""})
    return config.model_copy(update={"dataset": str(place)})
