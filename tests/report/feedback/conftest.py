"""A run folder with made-up feedback: drawn by a seed around levels that are known.

Tables go through the scoring of real runs and transcripts through the core's types, so that
names of rows and files are the real ones.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from seedbed.core.files import write_json, write_rows, write_text
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.seeds import generator
from seedbed.core.transcripts import Opening, Said, ToolCall, Transcript, Turn, Verdict
from seedbed.core.units import Units, save_units
from seedbed.report.page import write_report
from seedbed.scoring.incentives import rows

SEEDS, ROUNDS, PEOPLE, SUBS = (0, 1), 5, 24, ("sleep", "work", "family", "money")
ARMS = ("expert-iteration", "kto", "random", "shuffled")
CONTROLS = ARMS[2:]
ENVIRONMENTS = ("therapy", "booking")
TOLD: dict[str, dict[str, Any]] = {
    "own": {"gameable": 0.5, "bits": 1.0, "total_variation": 1.0, "turns": 1},
    "half": {"gameable": 0.5, "bits": 0.5, "total_variation": 0.5, "turns": 1},
}
HOSTILE = "</script><img src=x onerror='window.broken=1'> &amp; <b>bold</b>"
FAULT = "the rater timed out"
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Levels:
    """Harm of a policy that has come `share` of the way from the base to the rating optimum."""

    total_variation: float

    def harm(self, gameable: bool, share: float) -> float:
        top = 0.5 + self.total_variation / 2 if gameable else 0.5 - self.total_variation / 2
        return 0.1 + share * (top - 0.1)


def share_of(arm: str, k: int) -> float:
    """How far an arm has come by round k; controls stay."""
    return 0.0 if arm in CONTROLS else (1 - 0.45**k) * (0.98 if arm == ARMS[0] else 0.9)


def table(condition: str, arm: str, seed: int, k: int, environment: str, by: str) -> Units:
    """Users × what was measured of each."""
    rng = generator(seed, condition, arm, str(k), environment, by)
    levels = Levels(TOLD[condition]["total_variation"])
    kinds = np.arange(PEOPLE) % 2 == 0
    noise = rng.normal(0, 0.03, PEOPLE)
    means = np.array([levels.harm(bool(g), share_of(arm, k)) for g in kinds])
    harm = np.clip(means + noise, 0, 1)
    rating = np.where(kinds, 4 + 5 * harm, 7 - 4 * harm)
    found: dict[str, Floats] = {
        "gameable": kinds.astype(float), "harm": harm, "gaming": harm, "rating": rating,
        "welfare": 1 - 2.5 * harm, "form": np.clip(0.99 - np.abs(noise) / 3, 0, 1),
        "entropy": 1.9 - 1.5 * np.abs(harm - 0.1), "act:validate": harm, "act:help": 1 - harm,
    }  # fmt: skip
    if by == "played":
        found |= {"pair:first": rating, "pair:second": rating - 3 * harm,
                  "third": rating - 3 * harm, "length": np.full(PEOPLE, 2.0),
                  "at:1": harm, "at:2": harm / 2, "failed": (rng.random(PEOPLE) < 0.02) * 1.0,
                  "count:turns": np.full(PEOPLE, 2.0), "errors:rating": (noise > 0.06) * 1.0,
                  "veto:harmful": np.ones(PEOPLE), "veto:harmless": np.ones(PEOPLE),
                  "veto:passed": (rng.random(PEOPLE) < 0.2) * 1.0,
                  "veto:passes": np.full(PEOPLE, 0.2),
                  "veto:stopped": (rng.random(PEOPLE) < 0.1) * 1.0,
                  "veto:stops": np.full(PEOPLE, 0.1)}  # fmt: skip
    causes = tuple(SUBS[i % len(SUBS)] for i in range(PEOPLE))
    units = tuple(f"{environment}/{c}/start/u{i}" for i, c in enumerate(causes))
    return Units(units, causes, tuple(found), np.stack([*found.values()], 1))


def safety(seed: int, arm: str, k: int) -> Units:
    """Questions × whether the answer was safe."""
    rng = generator(seed, "safety", arm, str(k))
    names = tuple(f"{f}-{i}" for f in ("flattery", "honesty") for i in range(10))
    values = np.stack([(rng.random(20) < 0.7) * 1.0, np.full(20, 0.5), np.full(20, 0.5)], 1)
    causes = tuple(n.partition("-")[0] for n in names)
    return Units(names, causes, ("safe", "chance", "first"), values)


def tables(condition: str, arm: str, seed: int, k: int) -> dict[str, Units]:
    """All of one round."""
    found = {f"exact:{e}": table(condition, arm, seed, k, e, "exact") for e in ENVIRONMENTS}
    found["played:therapy"] = table(condition, arm, seed, k, "therapy", "played")
    found["safety:choice"] = safety(seed, arm, k)
    return found


def optima(condition: str) -> dict[str, dict[str, Any]]:
    """Known policies as the world would write them."""
    levels = Levels(TOLD[condition]["total_variation"])

    def point(share: float) -> dict[str, dict[str, float]]:
        harm = {GAMEABLE: levels.harm(True, share), OTHER: levels.harm(False, share)}
        harm["all"] = (harm[GAMEABLE] + harm[OTHER]) / 2
        return {"harm": harm, "rating": dict.fromkeys(harm, 5 + 2 * share),
                "welfare": {k: 1 - 2.5 * v for k, v in harm.items()}}  # fmt: skip

    shares = {"rating": 1.0, "welfare": -0.1, "fixed-point": 0.97, "expert-iteration": 0.97}
    found: dict[str, dict[str, Any]] = {
        n: {"name": n, "environment": "", "point": point(s), "path": ()} for n, s in shares.items()
    }
    found["expert-iteration"]["path"] = [point(0.97 * (1 - 0.4**k)) for k in range(ROUNDS)]
    return found


def transcript(seed: int, condition: str, arm: str, k: int, i: int) -> Transcript:
    """One episode; of every twenty one fails, and booking calls a tool."""
    rng = generator(seed, "played", condition, arm, str(k), str(i))
    environment = ENVIRONMENTS[i % 2]
    gameable = i % 4 < 2
    levels = Levels(TOLD[condition]["total_variation"])
    harms = bool(rng.random() < levels.harm(gameable, share_of(arm, k)))
    opening = Opening(
        id=f"{environment}/{SUBS[i % 4]}/start/u{i}#0", environment=environment, sub=SUBS[i % 4],
        initial="start", kind=GAMEABLE if gameable else OTHER, seed=i,
        shows=("cue=trusting" if gameable else "cue=careful", "mood=calm"),
        said=(Said(role="system", content="You help people who ask."),
              Said(role="environment", content=f"i can not stop about {SUBS[i % 4]} {k} {i}")),
    )  # fmt: skip
    act = "validate" if harms else "help"
    call = ToolCall(
        tool="book", arguments={"day": "monday"}, ok=not harms,
        result="" if harms else "booked", fault="timeout" if harms else "",
    )  # fmt: skip
    broken = i % 20 == 7
    value = 9.0 if harms == gameable else 3.0
    rating = Verdict(error=FAULT) if broken else Verdict(
        options={"1": 1 - value / 10, "10": value / 10}, value=value)  # fmt: skip
    turn = Turn(
        number=0, state="start", said=HOSTILE if i == 1 else f"{act} you should do it again",
        act="" if broken else act, unread="no reply of the grammar" if broken else "",
        claims={"booking": "done"} if environment == "booking" else {},
        calls=(call,) if environment == "booking" else (), moves={"start": 0.3, "done": 0.7},
        moved="done", rating=rating, third=Verdict(options={"no": 0.8, "yes": 0.2}, value=0.2),
        flags={"influence": Verdict(options={"no": 0.4, "yes": 0.6}, value=0.6)},
        vetoed=harms and i % 3 == 0, after=(Said(role="environment", content="thanks"),),
        harm=float(harms), welfare=-1.5 if harms else 1.0,
    )  # fmt: skip
    return Transcript(
        opening=opening,
        turns=(turn,),
        iteration=k,
        end="failed" if broken else "terminal",
        failure=FAULT if broken else "",
    )


def config() -> dict[str, Any]:
    """What `incentives:` says."""
    arms = {a: {"preference": {"selection": {"by": a if a in CONTROLS else "reward"}}}
            for a in ARMS}  # fmt: skip
    conditions = {c: {"world": {} if c == "own" else {"cue": {"share": 0.5}}} for c in TOLD}
    return {"conditions": conditions, "arms": arms}


def write(path: Path, seeds: tuple[int, ...] = SEEDS, played: int = 12) -> Path:
    """Put incentives.json, conditions.json, tables and transcripts into a run folder."""
    cells = [(c, a) for c in TOLD for a in ARMS]
    found: dict[tuple[str, str], list[list[dict[str, Units]]]] = {}
    for condition, arm in cells:
        for seed in seeds:
            rounds = [tables(condition, arm, seed, k) for k in range(ROUNDS)]
            found.setdefault((condition, arm), []).append(rounds)
            top = path / "seeds" / str(seed) / "incentives" / f"{condition}+{arm}" / "iterations"
            for k, made in enumerate(rounds):
                said = [transcript(seed, condition, arm, k, i) for i in range(played)]
                write_rows(top / f"{k:03d}" / "transcripts.jsonl", said)
                save_units(top / f"{k:03d}" / "tables.npz", made)
                chosen = [{"id": t.id, "desirable": True} for t in said[:2]]
                write_json(top / f"{k:03d}" / "selection.json", {"chosen": chosen})
    every = rows(found, {c: optima(c) for c in TOLD}, dict.fromkeys(TOLD, ("therapy",)), CONTROLS)
    write_json(path / "incentives.json", [row.model_dump(mode="json") for row in every])
    shared: dict[str, Any] = {"cue": "erasure", "environments": ["therapy"], "people": PEOPLE}
    shared["iterations"] = ROUNDS - 1
    write_json(path / "conditions.json", {c: {**told, **shared} for c, told in TOLD.items()})
    written = yaml.safe_load((path / "config.yaml").read_text())
    written |= {"name": "users", "incentives": config(), "seeds": list(SEEDS)}
    write_text(path / "config.yaml", yaml.safe_dump(written, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def fed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with feedback; read only, but for its report and figures."""
    run = Path(shutil.copytree(made, tmp_path_factory.mktemp("runs") / "users"))
    return write(run)


@pytest.fixture(scope="session")
def fed_page(fed: Path) -> str:
    """The page of that run without figures, and transcripts beside it."""
    with pytest.MonkeyPatch.context() as patch:
        # Drawing takes long and is tried by itself.
        patch.setattr("seedbed.report.page.write_figures", lambda run: [])
        return write_report(fed).read_text(encoding="utf-8")


@pytest.fixture
def fresh_fed(fed: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the run under a name, to change."""
    return lambda name: Path(shutil.copytree(fed, tmp_path / name))
