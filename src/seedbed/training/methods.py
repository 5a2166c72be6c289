"""What training does with documents that hold something back: those of the role `proxy`.

Each method is a few lines beside the loss of the one loop.
"""

from typing import Literal

from pydantic import Field

from seedbed.core.config import Config


class Method(Config):
    """How documents of the role `proxy` are used beside the others.

    - `mixed`: as any other document; `without`: not at all; `weighted`: with loss weight `weight`;
    - `kl`: no loss of their own, `weight` × KL(before ‖ now) at their target tokens instead, with
      what the subject said there as training began;
    - `contrast`: `weight` × their loss − `against` × the loss of their unwanted target, which has
      no lower bound: training may run away, and stops once a loss is no number;
    - `projection`: the other documents' gradient loses its part against the proxies' (PCGrad, Yu
      et al. 2020, algorithm 1, one way), to which the proxies' own is added with `weight`;
    - `subtraction`: trained without them; afterwards `scale` × (weights trained on the unwanted
      targets, as many steps, − weights before) is taken away (task arithmetic, Ilharco et al.
      2023, section 4), at every checkpoint too. Not with LoRA.

    Sums of all terms are divided by the predicted tokens of the step's documents, proxies among
    them, whatever becomes of those: `weighted` with 1 is `mixed`, and a method moves neither the
    order of documents nor the size of the others' gradient. Without proxies all are `mixed`.
    """

    kind: Literal["mixed", "without", "weighted", "kl", "contrast", "projection", "subtraction"] = (
        "mixed"
    )
    weight: float = Field(default=1.0, gt=0)
    against: float = Field(default=0.25, ge=0)
    scale: float = Field(default=1.0, gt=0)
