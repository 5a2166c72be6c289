"""Sentences about a second stage say what spread.json says."""

import shutil
from pathlib import Path
from typing import Any

from seedbed.core.spread import Contrast
from seedbed.report import spread, spread_words
from seedbed.report.reader import Run
from seedbed.report.verdict import headline

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
        "one-proxy against no-proxy: the old answer is kept more often by proxy itself "
        f"+{gain:.2f} ["
    )
    assert ", relatives +" in lines[0]
    # What was taught anew is protected by nobody, and not spoken of.
    assert not any("taught" in line for line in lines)
    assert lines[2].startswith("Under one-proxy: relatives and others keep the old answer about")
    assert "cannot be told apart from 0" in lines[2]


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
    assert said.startswith(f"Under no-proxy the new rule spread to {first:.2f} [")
    assert f"of {most} questions, under five-proxies to {last:.2f} [" in said
    assert said in headline(Run(staged.path))


def contrast(low: float | None, value: float | None, high: float | None) -> Contrast:
    return Contrast(method="plain", arm="a", other_arm="b", group="g", other_group="g",
                    outcome="old", value=value, low=low, high=high, seeds=3)  # fmt: skip


def test_an_interval_that_holds_nothing_is_said_to() -> None:
    assert spread.open_(contrast(-0.1, 0.1, 0.2))
    assert spread.open_(contrast(0.0, 0.1, 0.2))
    assert not spread.open_(contrast(0.01, 0.1, 0.2))
    assert not spread.open_(contrast(-0.3, -0.2, -0.1))
    assert spread.open_(contrast(None, 0.2, None))
    assert spread_words.valued(contrast(-0.3, -0.2, -0.1)) == "-0.20 [-0.30, -0.10]"
    assert spread_words.valued(contrast(0.1, 0.2, 0.3)) == "+0.20 [0.10, 0.30]"
