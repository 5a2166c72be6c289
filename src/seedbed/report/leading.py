"""What leads under each truth: its first metric, its columns, its controls and their names.

Under the declared truth finders rank documents; under the measured one they predict retraining.
"""

from seedbed.core.sites import SiteKind
from seedbed.report.schema import ORACLE
from seedbed.scoring.rows import LABELS

DECLARED, MEASURED = "declared", "measured"
LDS = "lds"
LEADING = {DECLARED: "average_precision", MEASURED: LDS}
BY_HOP = "roc_auc"
RANKING = ("average_precision", "roc_auc", "r_precision", "mrr", "recall@10")
CORRELATIONS = (LDS, "group_r", "single_r")
DROP = "drop@"


def metric_order(name: str) -> tuple[int, int, str]:
    """Sort key: the ranking metrics, the correlations with retraining, drops by k, the rest."""
    known = (*RANKING, *CORRELATIONS)
    if name in known:
        return known.index(name), 0, name
    if (k := name.removeprefix(DROP)) != name and k.isdecimal():
        return len(known), int(k), name
    return len(known) + 1, 0, name


def leading_of(sites: str) -> str:
    """The metric that leads under the declared truth: of two classes of questions it is ROC-AUC."""
    return BY_HOP if sites == SiteKind.DIRECTION else LEADING[DECLARED]


def top_name(truth: str, metric: str) -> str:
    """What the `oracle` column of a row holds: the oracle, the ceiling or the labels' value."""
    if truth == DECLARED:
        return ORACLE
    return LABELS if metric.startswith(DROP) else "ceiling"


def called(finder: str, truth: str) -> str:
    """A finder's name for a reader: what seed noise leaves is a ceiling, nobody knows more."""
    return "ceiling" if truth == MEASURED and finder == ORACLE else finder
