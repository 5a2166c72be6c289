"""Scores that another tool has made: any matrix [questions, documents] becomes a claim.

The files' SHA-256 belongs to the configuration, so changed files are scored anew.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationInfo, field_validator

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import digest_of_files
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.matrices import read_ids, read_matrix, read_rankings

if TYPE_CHECKING:
    from seedbed.models.subject import Subject

SEED, QUESTION = "{seed}", "{question}"


class Scores(Finder):
    """Scores read from files: .npy, .npz, .jsonl or .csv, one for each seed if named by it."""

    kind: str = "scores"
    path: str = Field(
        default="",
        description="'{seed}' stands for the subject's seed; '{question}': a ranking a question",
    )
    questions: str = Field(default="", description="file with the ids of a .npy's rows")
    documents: str = Field(default="", description="file with the ids of a .npy's columns")
    in_order: bool = Field(
        default=False, description="a .npy's rows and columns stand in the study's order"
    )
    absent: float | None = Field(
        default=None, allow_inf_nan=False, description="score of cells not listed; null: an error"
    )
    sha256: str = Field(default="", validate_default=True, description="filled in")

    @field_validator("sha256")
    @classmethod
    def _of_the_files(cls, value: str, info: ValidationInfo) -> str:
        files = []
        for name in ("path", "questions", "documents"):
            given = info.data.get(name, "")
            pattern = escape(given).replace(SEED, "*").replace(QUESTION, "*")
            for place in sorted(glob(pattern)) if pattern != escape(given) else [given]:
                files += [Path(place)] if Path(place).is_file() else []
        found = digest_of_files(files)
        if value and value != found:
            raise ValueError("the files are not the ones that this configuration was made with")
        return found

    def unavailable(self) -> str:
        """Without a path there is nothing to read."""
        return "" if self.path else "scores: needs 'path', the file with the scores"

    def find(
        self,
        subject: "Subject",
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """The file's scores [questions, documents], arranged as asked; higher = more of a cause.

        More questions and documents than asked for may be there. Raises InputError without a
        path, DataError if an id is missing, and as `read_matrix` does.
        """
        if why := self.unavailable():
            raise InputError(why)
        asked, sites = tuple(q.id for q in questions), tuple(d.id for d in documents)
        path = self._named(self.path, subject.seed)
        if QUESTION in self.path:
            name = self.path.replace(SEED, str(subject.seed))
            claim = read_rankings({q: Path(name.replace(QUESTION, q)) for q in asked}, self.absent)
        else:
            rows, columns = (
                read_ids(self._named(name, subject.seed)) if name else None
                for name in (self.questions, self.documents)
            )
            if self.in_order:
                rows, columns = rows or asked, columns or sites
            claim = read_matrix(path, rows, columns, self.absent)
        row = _places(path, "question", asked, claim.questions)
        column = _places(path, "document", sites, claim.sites)
        notes = {"file": path.name}
        spare = len(claim.questions) - len(asked), len(claim.sites) - len(sites)
        if any(spare):
            notes["unused"] = f"{spare[0]} questions, {spare[1]} documents"
        return Claim(asked, sites, claim.scores[row][:, column], notes=notes)

    def _named(self, name: str, seed: int) -> Path:
        return Path(name.replace(SEED, str(seed)))


def _places(path: Path, noun: str, wanted: Sequence[str], there: Sequence[str]) -> list[int]:
    """Where each wanted id stands; raises DataError naming how many are missing and the nearest."""
    place = {key: i for i, key in enumerate(there)}
    if missing := [key for key in wanted if key not in place]:
        near = get_close_matches(missing[0], there, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {there[0]!r} and the like"
        raise DataError(
            path, None,
            f"lacks {len(missing)} of {len(wanted)} {noun}s, such as {missing[0]!r}{hint}",
        )  # fmt: skip
    return [place[key] for key in wanted]
