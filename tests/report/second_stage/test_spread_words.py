"""Sentences about a second stage say what spread.json says."""

import shutil
from pathlib import Path
from typing import Any

from seedbed.core.spread import Contrast, Spreading
from seedbed.report import spread, spread_words
from seedbed.report.reader import Run
from seedbed.report.verdict import findings, headline

ARMS = ("no-proxy", "one-proxy", "five-proxies")
GROUPS = ("taught", "proxy", "relatives", "others")


def test_why_subjects_do_not_count(staged: Any) -> None:
    first, second = spread_words.fit_findings(Run(staged.path).spreading)
    assert first == "17 of 18 subjects learned what the second stage taught."
    value = float((staged.said[2, "one-proxy", "kl", "proxy"] == "old").mean())
    assert second.startswith(
        f"Left out: one-proxy, method kl, seed 2: proxy answers by the old rule {value:.2f} ["
    )
    assert second.endswith("on 60 questions; the lower end must reach 0.50.")


def test_sentences_hold_the_shares_of_the_first_method(staged: Any) -> None:
    lines = spread_words.findings(Run(staged.path).spreading)
    assert len(lines) == len(ARMS)
    for arm, line in zip(ARMS, lines, strict=True):
        for group in GROUPS:
            assert f"{group} {staged.share(arm, 'plain', group, 'new'):.2f} [" in line
        lost = staged.share(arm, "plain", "relatives", "neither")
        assert ("neither" in line.partition("relatives")[2].partition(";")[0]) == (lost >= 0.1)


def test_protection_in_sentences(staged: Any) -> None:
    lines = spread_words.protection_findings(Run(staged.path).spreading)
    gain = staged.share("one-proxy", "plain", "proxy", "old")
    gain -= staged.share("no-proxy", "plain", "proxy", "old")
    assert lines[0].startswith(
        "one-proxy against no-proxy, method plain: the old answer is kept more often by proxy "
        f"itself +{gain:.2f} ["
    )
    assert ", relatives +" in lines[0]
    # What was taught anew is protected by nobody, and not spoken of.
    assert not any("taught" in line for line in lines)
    gain = staged.share("one-proxy", "plain", "relatives", "old")
    gain -= staged.share("one-proxy", "plain", "others", "old")
    assert lines[2].startswith(
        "Under one-proxy, method plain: relatives and others cannot be told apart in how often "
        f"they keep the old answer, difference {gain:+.2f} ["
    )
    # An open interval is no evidence of equality.
    assert not any("equally" in line for line in lines)


def test_losses_and_open_questions_are_named_apart(staged: Any, tmp_path: Path, edit: Any) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def change(value: Any) -> Any:
        for row in value["contrasts"]:
            if row["group"] == "relatives" and row["other_group"] == "relatives":
                row |= {"value": -0.2, "low": -0.3, "high": -0.1}
            if row["group"] == "others":
                row |= {"value": 0.02, "low": -0.05, "high": 0.09}
        return value

    edit(path / "spread.json", change)
    line = spread_words.protection_findings(Run(path).spreading)[0]
    assert line.endswith(
        "; less often by relatives -0.20 [-0.30, -0.10]; cannot be told apart from 0: others +0.02 "
        "[-0.05, 0.09]."
    )


def test_the_headline_names_the_group_that_proxies_change_most(staged: Any) -> None:
    said = spread_words.headline(Run(staged.path).spreading)
    gaps = {
        g: abs(staged.share(ARMS[0], "plain", g, "new") - staged.share(ARMS[-1], "plain", g, "new"))
        for g in ("relatives", "others")
    }
    most = max(gaps, key=lambda g: gaps[g])
    first, last = (staged.share(arm, "plain", most, "new") for arm in (ARMS[0], ARMS[-1]))
    assert said.startswith(f"Under no-proxy, method plain, the new rule spread to {first:.2f} [")
    assert f"of {most} questions, under five-proxies to {last:.2f} [" in said
    assert said in headline(Run(staged.path))


def contrast(low: float | None, value: float | None, high: float | None) -> Contrast:
    return Contrast(method="plain", other_method="plain", arm="a", other_arm="b", group="g",
                    other_group="g", outcome="old", value=value, low=low, high=high,
                    seeds=3)  # fmt: skip


def test_an_interval_that_holds_nothing_is_said_to() -> None:
    assert spread.open_(contrast(-0.1, 0.1, 0.2))
    assert spread.open_(contrast(0.0, 0.1, 0.2))
    assert not spread.open_(contrast(0.01, 0.1, 0.2))
    assert not spread.open_(contrast(-0.3, -0.2, -0.1))
    assert spread.open_(contrast(None, 0.2, None))
    assert spread.open_(contrast(0.2, 0.2, 0.2))
    assert spread_words.valued(contrast(-0.3, -0.2, -0.1)) == "-0.20 [-0.30, -0.10]"
    assert spread_words.valued(contrast(0.1, 0.2, 0.3)) == "+0.20 [0.10, 0.30]"
    assert spread_words.valued(contrast(None, 0.83, None)) == "+0.83 (no interval)"
    assert spread_words.valued(contrast(0.83, 0.83, 0.83)) == "+0.83 (no interval)"
    assert spread_words.valued(contrast(None, None, None)) == "–"


def test_where_no_share_was_asked_for_the_verdict_says_so(
    staged: Any, tmp_path: Path, edit: Any
) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def ask_nothing(value: Any) -> Any:
        for row in value["fits"]:
            row |= {"needed": 0.0, "fitted": True}
        return value

    edit(path / "spread.json", ask_nothing)
    found = {f.topic: f for f in findings(Run(path))}
    assert found["Second stage"].text == (
        "No share was asked for: shares are over all subjects, whether or not they learned what "
        "they were taught.",
    )
    # Nothing was passed, so nothing is good.
    assert found["Second stage"].tone == "plain"


def without(found: Spreading, arm: str) -> Spreading:
    """The same where no seed fitted under an arm."""
    null = {"value": None, "low": None, "high": None, "before": None, "seeds": 0}
    rows = [r.model_copy(update=null) if r.arm == arm else r for r in found.shares]
    return found.model_copy(update={"shares": tuple(rows)})


def test_the_headline_takes_the_arms_that_fitted(staged: Any) -> None:
    found = Run(staged.path).spreading
    assert found is not None
    assert ", under one-proxy to" in spread_words.headline(without(found, "five-proxies"))
    assert spread_words.headline(without(found, "no-proxy")).startswith("Under one-proxy, ")
    assert spread_words.headline(without(without(found, "no-proxy"), "one-proxy")) == ""


def test_one_method_needs_no_name(staged: Any) -> None:
    found = Run(staged.path).spreading
    assert found is not None
    lone = found.model_copy(update={"methods": ("plain",)})
    lines = [spread_words.headline(lone), *spread_words.findings(lone)]
    lines += spread_words.protection_findings(lone)
    assert not any("method" in line for line in lines)
