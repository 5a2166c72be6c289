"""An iteration of KTO: our loop against TRL's KTOTrainer, same samples, batches and order.

Run: python benchmarks/kto.py [--json FILE] [--repeat N]. One thread. The agent is a Llama of
2 blocks × 64 wide; 192 users × 8 replies, of which the best and the worst of each user's are
384 samples in 12 steps of 32. `improve` is the whole iteration: choosing, tokenising, training,
writing its folder, which our own expert iteration is timed by too.
"""

import copy
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from seedbed.core.conversation import markup
from seedbed.core.transcripts import Opening, Said, Transcript, Turn, Verdict, as_messages
from seedbed.models.adapters import Lora
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training.config import Optimizer, Training
from seedbed.training.kto import Kto
from seedbed.training.preference import Preference, improve, reference_of
from table import Row, arguments, paired, seconds, show

TEXT = (
    "you should call him now please rest today and talk to her about it what is best do not try"
    " yes no maybe i feel sad glad angry tired help me"
)
WORDS = TEXT.split()
UNIT = "s an iteration"


def episodes(people: int = 192, attempts: int = 8) -> list[Transcript]:
    """Users with a first message of 10 words, replies of 7, random ratings."""
    rng = random.Random(0)
    found = []
    for person in range(people):
        first = " ".join(rng.choices(WORDS, k=10))
        for attempt in range(attempts):
            said = (Said(role="system", content="you help me"),
                    Said(role="environment", content=first))  # fmt: skip
            name = f"therapy/work/{person % 16}/u{person}#{attempt}"
            opening = Opening(id=name, environment="therapy", sub="work",
                              initial=str(person % 16), attempt=attempt, said=said)  # fmt: skip
            rating = Verdict(options={"1": 1.0}, value=rng.random())
            reply = " ".join(rng.choices(WORDS, k=7))
            turn = Turn(number=0, state="talk", said=reply, act="help", rating=rating)
            found.append(Transcript(opening=opening, turns=(turn,), end="terminal"))
    return found


def preference(engine: str, lora: Lora | None) -> Preference:
    """The settings of the small world: β .5, desirable weight 4, lr 2e-4, one epoch."""
    kto = Kto.model_validate({"beta": 0.5, "desirable": 4, "undesirable": 1, "engine": engine})
    optimizer = Optimizer(lr=2e-4, warmup=0, schedule="constant")
    training = Training(epochs=1, batch=32, lora=lora, optimizer=optimizer)
    return Preference(method="kto", kto=kto, training=training)


class Work:
    """A base and its episodes; every run starts from the same weights in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, episodes()
        texts = [markup(as_messages(t.said())) for t in self.made]
        self.base = Tiny(layers=2, width=64, heads=4, context=64).build(texts, [], 0)
        self.reference = reference_of(self.base)
        self.last: dict[str, Subject] = {}

    def run(self, name: str, asked: Preference) -> Callable[[], object]:
        """One iteration with these settings, whose result stays in `last`."""

        def work() -> object:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            subject = replace(self.base, model=copy.deepcopy(self.base.model))
            self.last[name] = improve(
                subject, self.reference, self.made, asked, 0, 0, self.folder / name
            )
            return None

        return work

    def agreement(self) -> str:
        """The largest difference between both results, beside how far training moved."""
        own, trl = (trainable_state(self.last[n].model) for n in ("own", "trl"))
        start = {n: p.detach() for n, p in self.base.model.named_parameters()}
        far = max(float((own[n] - trl[n]).abs().max()) for n in own)
        # What LoRA adds was not there before.
        moved = max(float((own[n] - start[n]).abs().max() if n in start else own[n].abs().max())
                    for n in own if n in start or "lora_B" in n)  # fmt: skip
        return f"weights within {far:.1e}; they moved {moved:.1e}"


def rows(work: Work, repeat: int) -> list[Row]:
    """A row for each kind of training, and expert iteration without a peer."""
    found = []
    for name, lora in (("all weights", None), ("LoRA r 8", Lora())):
        sides = [work.run(engine, preference(engine, lora)) for engine in ("own", "trl")]
        ours, theirs, ratio = paired(sides[0], sides[1], repeat)
        found.append(Row(f"KTO, {name}", "TRL KTOTrainer", ours, theirs, ratio, UNIT,
                         work.agreement()))  # fmt: skip
    optimizer = Optimizer(lr=3e-4, warmup=0, schedule="constant")
    expert = Preference(training=Training(epochs=1, batch=16, optimizer=optimizer))
    once = work.run("expert", expert)
    spent = sorted(seconds(once) for _ in range(repeat))[repeat // 2]
    found.append(Row("expert iteration", "none", spent, None, None, UNIT, "192 documents"))
    return found


def main() -> None:
    asked = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        found = rows(Work(Path(folder)), asked.repeat)
    show(found, "KTO: 384 samples, one thread, CPU seconds", asked.json)


if __name__ == "__main__":
    main()
