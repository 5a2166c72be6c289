"""Many tiny runs on one launcher: what launching costs beside the work, and indexing, and pages.

Run: python benchmarks/launching.py [--json FILE] [--runs N] [--workers N] [--quick]. Each run is
one seed of the hops world, from rows to scores. With W workers and S the sum of the seconds that
stages took (from the marks they leave in the store; stages are made once, in a worker), overhead
is (wall seconds × W − S) / S: starting workers, handing out calls, planning, gates, links,
waiting, and what is idle at the end. The coordinator's processor seconds are those of this
process, all threads, from the first study to the last file; it makes no stage. They stand beside
those of the workers from their start to their end, which other programs do not lengthen.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from seedbed.core.files import read_json
from table import Row, show

ROOT = Path(__file__).parents[1]
SIZES = {True: 40, False: 1000}
TIMES = ("seconds", "peak_mib", "epochs")
TINY = (
    "world.bases=4", "questions=4",
    "training.steps=50", "training.optimizer={lr: 6.0e-3, weight_decay: 0.3}",
)  # fmt: skip
"""A second of work a run, so that what launching costs shows."""


def studies(count: int) -> list[Any]:
    """As many tiny studies of one seed each; no two share a stage."""
    from seedbed.studies.study import load_study

    base = load_study(ROOT / "studies" / "smoke" / "hops.yaml", TINY)
    return [base.model_copy(update={"seeds": (i,), "name": f"tiny-{i}"}) for i in range(count)]


def launched(runs: Path, count: int, workers: int) -> list[Row]:
    """All runs side by side: worker seconds beside those of stages, and the coordinator's own."""
    from seedbed.runs.launch import Launch
    from seedbed.studies.many import Job, run_many

    jobs = [Job(study, runs / study.name) for study in studies(count)]
    wall, cpu, theirs = time.perf_counter(), time.process_time(), ended_children()
    ended = run_many(jobs, Launch(workers=workers))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    theirs = ended_children() - theirs
    marks = [read_json(path) for path in (runs / ".store").glob("*/stage.json")]
    work = sum(mark["seconds"] for mark in marks)
    finished = sum(not one.stopped for one in ended)
    what = f"{count} runs, {workers} workers"
    told = f"{finished} finished, {len(marks)} stages made"
    over = 100 * (wall * workers - work) / work
    return [
        Row(f"{what}: worker seconds", "the stages alone", wall * workers, work,
            work / (wall * workers), "s", f"overhead {over:.1f} %; {told}"),
        Row(f"{what}: coordinator's processor", "the workers'", 1000 * cpu / count,
            1000 * theirs / count, theirs / cpu, "ms a run",
            f"{100 * cpu / theirs:.1f} % of theirs"),
    ]  # fmt: skip


def ended_children() -> float:
    """Processor seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def alone(runs: Path, scratch: Path, count: int) -> Row:
    """Some of the runs again, each by itself in this process: are the scores the same?"""
    from seedbed.studies import run

    chosen = [study for study in studies(count) if (runs / study.name / "scores.json").exists()]
    chosen = chosen[:: max(1, len(chosen) // 2)][:2]
    same = [
        without_times(run(s, scratch / s.name, workers=1)) == without_times(runs / s.name)
        for s in chosen
    ]
    return Row(f"{len(same)} of them alone", "side by side", None, None, None, "",
               "the same scores" if all(same) and same else "OTHER SCORES")  # fmt: skip


def without_times(folder: Path) -> list[dict[str, Any]]:
    """The scores of a run, less what tells time and memory."""
    return [{k: v for k, v in row.items() if k not in TIMES}
            for row in read_json(folder / "scores.json")]  # fmt: skip


def seen(runs: Path, scratch: Path, count: int) -> list[Row]:
    """Wall seconds until all runs are in the index, and in a site."""
    from seedbed.report.site import build_site
    from seedbed.runs.index import Index

    clock = time.perf_counter()
    index = Index.open(runs)
    index.refresh()
    known = len(index.runs())
    indexed = time.perf_counter() - clock
    clock = time.perf_counter()
    build_site([runs], scratch / "site")
    built = time.perf_counter() - clock
    return [
        Row(f"{count} runs indexed", "–", indexed, None, None, "s", f"{known} in the index"),
        Row(f"{count} runs in a site", "–", built, None, None, "s",
            f"{sum(1 for p in (scratch / 'site').rglob('*.html'))} pages"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--runs", type=int, help="how many runs (default: 1000)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--quick", action="store_true", help="40 runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the runs there")
    given = parser.parse_args()
    count = given.runs or SIZES[given.quick]
    with tempfile.TemporaryDirectory() as folder:
        runs, scratch = given.keep or Path(folder) / "runs", Path(folder) / "scratch"
        if runs.exists():
            parser.error(f"--keep {runs}: is there already, and only new runs are measured")
        rows = launched(runs, count, given.workers)
        rows.append(alone(runs, scratch / "alone", count))
        rows += seen(runs, scratch, count)
    show(rows, "Many tiny runs", given.json)


if __name__ == "__main__":
    main()
