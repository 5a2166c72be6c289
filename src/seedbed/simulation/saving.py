"""Transcripts on disk: finished episodes are appended at once, and the whole is written at last.

A run that was stopped finds what it had; what it ends with is the same to the byte.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from seedbed.core.errors import DataError, DiskError
from seedbed.core.files import read_json, read_rows, write_json, write_text
from seedbed.core.transcripts import Opening, Transcript

WHOLE = "transcripts.jsonl"
PLAYED = "played.json"
PART = "transcripts.part.jsonl"


class Saved:
    """The transcripts of one folder; `folder` None keeps nothing.

    `digest` names what the episodes are played with: a part file of another digest is begun anew,
    a whole file of another one is refused. `played.json` keeps it beside the whole.
    """

    def __init__(self, folder: Path | None, openings: Sequence[Opening], digest: str) -> None:
        self.folder, self.openings, self.digest = folder, list(openings), digest
        self.place = {one.id: i for i, one in enumerate(openings)}
        self.lines: dict[int, str] = {}
        self.found: dict[int, Transcript] = {}
        if folder is not None and not (folder / WHOLE).exists():
            self._resume(folder / PART)

    def whole(self) -> list[Transcript] | None:
        """The finished transcripts, if the folder holds them already.

        Raises DataError if they are of other openings, or were played with something else.
        """
        if self.folder is None or not (self.folder / WHOLE).exists():
            return None
        path = self.folder / WHOLE
        rows = read_rows(path, Transcript) if self.openings else []
        if [row.opening for row in rows] != self.openings:
            raise DataError(path, None, "holds episodes of other openings; use another folder")
        note = self.folder / PLAYED
        if note.exists() and read_json(note) != {"digest": self.digest}:
            why = "holds episodes of another agent or other settings; use another folder"
            raise DataError(path, None, why)
        return rows

    def add(self, done: Sequence[tuple[int, Transcript]]) -> None:
        """Take finished episodes, each with its opening's place, and append them to the part."""
        if not done:
            return
        self.found |= done
        if self.folder is not None:
            lines = {i: transcript.model_dump_json() for i, transcript in done}
            self.lines |= lines
            self._append("".join(f"{line}\n" for line in lines.values()))

    def close(self) -> list[Transcript]:
        """Write all transcripts in the openings' order; the part file is gone."""
        if self.folder is not None:
            text = "".join(f"{self.lines[i]}\n" for i in range(len(self.openings)))
            write_json(self.folder / PLAYED, {"digest": self.digest})
            write_text(self.folder / WHOLE, text)
            (self.folder / PART).unlink(missing_ok=True)
        return [self.found[i] for i in range(len(self.openings))]

    def _append(self, text: str) -> None:
        assert self.folder is not None
        path = self.folder / PART
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise DiskError(f"{path}: cannot write: {error.strerror or error}") from error

    def _resume(self, path: Path) -> None:
        head = json.dumps({"digest": self.digest})
        # What stands after the last line break was cut off while it was written.
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        if lines[:1] == [head.encode()]:
            for number, line in enumerate(lines[1:], start=2):
                self._take(path, number, line)
        write_text(path, "".join(f"{line}\n" for line in (head, *self.lines.values())))

    def _take(self, path: Path, number: int, line: bytes) -> None:
        try:
            transcript = Transcript.model_validate_json(line)
        except ValidationError as error:
            raise DataError(path, number, "no transcript; delete the file to begin anew") from error
        i = self.place.get(transcript.id)
        if i is None or self.openings[i] != transcript.opening:
            raise DataError(path, number, f"an episode of another opening, {transcript.id!r}")
        self.found[i], self.lines[i] = transcript, line.decode()
