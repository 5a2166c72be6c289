"""What `incentives.attribution` in a study file configures: harmful acts, traced to transcripts."""

from pydantic import Field

from seedbed.core.attribution import KIND, PART, RANDOM, UNCHANGED
from seedbed.core.config import Config
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.outcomes import Intervention
from seedbed.core.rows import Document
from seedbed.core.seeds import stream


class Attribution(Config):
    """Which transcripts taught the gaming act: finders of documents against truth and replays.

    `questions` are held-out gameable users whose gaming reply is asked about; replays are asked
    about as many others too. Replays train anew from the base on the same documents in the same
    order, with one group left out: each kind of user, `randoms` groups as large as the gameable
    users', and `parts` times half of the sub-environments. Each is trained `repeats` times, first
    with the study's own seed, then with others, which tells how far noise goes.
    """

    questions: int = Field(default=12, ge=2)
    randoms: int = Field(default=4, ge=2)
    parts: int = Field(default=4, ge=2)
    repeats: int = Field(default=2, ge=2)

    def groups(self, documents: "list[Document]", seed: int) -> list[Intervention]:
        """What is left out of what was trained on (with its facts and meta), in a fixed order.

        `none` first, then `group`s named kind/… and part/…, then `subset`s named random/….
        """
        kinds = {
            kind: tuple(i for i, d in enumerate(documents) if d.facts[:1] == (kind,))
            for kind in (GAMEABLE, OTHER)
        }
        found = [Intervention("none", UNCHANGED, ())]
        found += [Intervention("group", f"{KIND}/{k}", rows) for k, rows in kinds.items() if rows]
        people = [i for i, d in enumerate(documents) if d.meta.get("person")]
        subs: dict[str, list[int]] = {}
        for i in people:
            subs.setdefault("/".join(documents[i].meta["person"].split("/")[:2]), []).append(i)
        names = sorted(subs)
        for p in range(self.parts if len(names) > 1 else 0):
            # Halves, since sums of scores over groups of unequal sizes tell their sizes.
            half = stream(seed, "attribution", PART, p).sample(names, len(names) // 2)
            rows = tuple(sorted(i for name in half for i in subs[name]))
            found.append(Intervention("group", f"{PART}/{p}", rows))
        # Without gameable users, half of all people.
        size = len(kinds[GAMEABLE]) or len(people) // 2
        for r in range(self.randoms):
            drawn = stream(seed, "attribution", RANDOM, r).sample(people, min(size, len(people)))
            found.append(Intervention("subset", f"{RANDOM}/{r}", tuple(sorted(drawn))))
        return found
