"""A whole study in Python: plant, train, find, score; prints who found the documents."""

import json
from pathlib import Path

from seedbed import Study, run

if __name__ == "__main__":
    study = Study(
        name="example",
        world={"kind": "hops", "bases": 8, "depth": 0, "values": 4, "texts": {"redundancy": 6},
               "decoys": {"prompt": 8}, "asked": {"functions": 8}, "gate": {"margin": 0.2}},
        subject={"kind": "tiny", "layers": 2, "width": 64, "heads": 2},
        training={"steps": 150, "batch": 32, "optimizer": {"lr": 3e-3, "weight_decay": 0.3}},
        finders=["bm25", {"kind": "gradients", "measure": "cosine"}],
        seeds=(0, 1, 2),
        questions=12,
    )  # fmt: skip
    folder = run(study, Path("runs/example"))
    for row in json.loads((folder / "scores.json").read_text()):
        if row["metric"] == "average_precision" and row["slice"] == "all":
            print(f"{row['finder']:>10}  {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
