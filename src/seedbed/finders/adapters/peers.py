"""The packages that adapters call: which version, what it needs, and what it does without.

Requirements on torchvision, torchaudio and bitsandbytes are dropped, since none is imported
here and the first two exist in no build that fits a CPU torch.
"""

from dataclasses import dataclass

# Of the packages below these stand in seedbed's environment too; the versions are the same.
SHARED = ("numpy", "transformers", "accelerate", "datasets", "peft", "scipy", "safetensors",
          "tqdm", "huggingface_hub", "tokenizers", "pyarrow", "pandas")  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """A package of the index: `project`==`version`, imported as `module`.

    `needs` are installed beside it (the package itself goes in without its requirements),
    `mib` is the room its environment takes, torch included.
    """

    name: str
    project: str
    version: str
    module: str
    needs: tuple[str, ...]
    mib: int

    @property
    def pin(self) -> str:
        """What pip is asked for."""
        return f"{self.project}=={self.version}"


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "bergson", "bergson", "2.5.1", "bergson",
            ("accelerate", "datasets", "jaxtyping==0.3.11", "ml_dtypes==0.6.0", "peft",
             "petname==2.9", "pyyaml", "scipy", "simple-parsing==0.1.9", "torchopt==0.7.3"),
            1600,
        ),
        Peer(
            "kronfluence", "kronfluence", "1.0.1", "kronfluence",
            ("accelerate", "einconv==0.1.0", "einops==0.8.2", "opt-einsum==3.4.0", "safetensors",
             "tqdm"),
            1200,
        ),
        Peer("traker", "traker", "0.3.2", "trak", ("tqdm",), 1200),
        Peer("dattri_llm", "dattri-llm", "0.1.0", "dattri_llm", ("accelerate", "tqdm"), 1200),
    )
}  # fmt: skip
