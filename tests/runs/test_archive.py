import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runs.made import config_of, write_run

from seedbed.core.errors import DiskError, InputError
from seedbed.core.files import read_json, write_json
from seedbed.runs import arrival
from seedbed.runs.archive import INSIDE, LIST, contents_of, export, files_of, kept_of
from seedbed.runs.arrival import read_contents, take_in
from seedbed.runs.index import Index
from seedbed.runs.summary import read_summary

Files = dict[str, bytes]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = write_run(tmp_path / "here" / "small")
    (made / ".lease").write_text("")
    (made / "report.html").write_text("<p>")
    return made


@pytest.fixture
def archive(run: Path, tmp_path: Path) -> Path:
    export(run, tmp_path / "small.tar.gz")
    return tmp_path / "small.tar.gz"


def _same_files(a: Path, b: Path) -> bool:
    left, right = ({p.relative_to(f).as_posix(): kept_of(p) for p in files_of(f)} for f in (a, b))
    return left == right


def test_a_run_travels_whole(run: Path, archive: Path, tmp_path: Path) -> None:
    found = take_in(archive, tmp_path / "there")
    assert (found.outcome, found.folder) == ("new", tmp_path / "there" / "small")
    assert _same_files(run, found.folder)
    assert not (found.folder / ".lease").exists()
    one, two = read_summary(run), read_summary(found.folder)
    assert two.lines == one.lines
    index = Index.open(tmp_path / "there")
    assert index.refresh().runs == 1


def test_the_same_run_gives_the_same_bytes(run: Path, archive: Path, tmp_path: Path) -> None:
    for path in run.rglob("*"):
        path.touch()
    export(run, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert members[0].name == LIST
    assert [m.name for m in members[1:]] == sorted(m.name for m in members[1:])
    assert {(m.mtime, m.uid, m.gname) for m in members} == {(0, 0, "")}
    assert read_contents(archive) == contents_of(run)


def test_weights_may_stay_behind_and_follow(run: Path, archive: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path / "light.tar.gz", subject=False)
    weights = [f"seeds/{seed}/train/subject/model.safetensors" for seed in (0, 1)]
    assert sorted(made.left_out) == weights
    found = take_in(tmp_path / "light.tar.gz", tmp_path / "there")
    assert "without 2 files of weights" in found.lines[-1]
    assert not (found.folder / weights[0]).exists()
    assert take_in(tmp_path / "light.tar.gz", tmp_path / "there").outcome == "here"
    more = take_in(archive, tmp_path / "there")
    assert (more.outcome, more.folder) == ("here", found.folder)
    assert "2 files of weights that it lacked were added" in more.lines[0]
    assert _same_files(run, found.folder)
    assert take_in(tmp_path / "light.tar.gz", tmp_path / "there").outcome == "here"


def test_what_is_here_already_stays_untouched(run: Path, archive: Path) -> None:
    (run / "report.html").write_text("<p>drawn again")
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    found = take_in(archive, run.parent)
    assert (found.outcome, found.folder) == ("here", run)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_two_versions_of_one_run_are_both_kept(run: Path, tmp_path: Path) -> None:
    later = write_run(tmp_path / "later" / "small", skill=3.0, code_digest="f" * 64,
                      seedbed="9.9.9")  # fmt: skip
    export(later, tmp_path / "later.tar.gz")
    before = read_summary(run)
    found = take_in(tmp_path / "later.tar.gz", run.parent)
    assert found.outcome == "version"
    assert found.folder.name.startswith("small-")
    assert _same_files(later, found.folder)
    assert read_summary(run) == before
    told = "\n".join(found.lines)
    assert f"{run}: another version of this run" in told
    assert "code ffffffff" in told
    assert "made by seedbed 9.9.9 (here 0.1.0)" in told
    assert "may give other results" in told
    assert take_in(tmp_path / "later.tar.gz", run.parent).outcome == "here"


def test_other_code_of_the_same_version_is_said(tmp_path: Path) -> None:
    export(write_run(tmp_path / "x", code_digest="e" * 64), tmp_path / "x.tar.gz")
    lines = take_in(tmp_path / "x.tar.gz", tmp_path / "there").lines
    assert "other code (eeeeeeee" in lines[1]


def test_another_run_of_the_same_name_is_no_version(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "o" / "small", config_of(threads=2))
    export(other, tmp_path / "o.tar.gz")
    found = take_in(tmp_path / "o.tar.gz", run.parent)
    assert found.outcome == "new"
    assert f"{run}: has that name already" in found.lines[1]


def test_only_what_is_finished_travels(run: Path, tmp_path: Path) -> None:
    (run / "seeds" / "link").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="link: is a link"):
        export(run, tmp_path / "x.tar.gz")
    (run / "seeds" / "link").unlink()
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="unfinished"):
        export(run, tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()


def test_a_file_that_changes_meanwhile_is_noticed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = contents_of(run)
    for text in ("[", "[]" * 99):
        (run / "missing.json").write_text(text)
        monkeypatch.setattr("seedbed.runs.archive.contents_of", lambda *_: contents)
        with pytest.raises(InputError, match=r"missing\.json: changed while it was read"):
            export(run, tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()


def _refused(archive: Path, root: Path) -> str:
    with pytest.raises(InputError) as caught:
        take_in(archive, root)
    assert not root.exists() or not list(root.iterdir())
    text = str(caught.value)
    assert text.startswith(f"{archive}: ")
    assert "\n" not in text
    return text


def test_every_flipped_byte_is_found_or_changes_nothing(
    run: Path, archive: Path, tmp_path: Path
) -> None:
    whole = archive.read_bytes()
    named = 0
    for at in range(0, len(whole), len(whole) // 80):
        data = bytearray(whole)
        data[at] ^= 0x10
        archive.write_bytes(data)
        root = tmp_path / f"there-{at}"
        try:
            found = take_in(archive, root)
        except InputError as error:
            named += "member" in str(error)
            assert not root.exists()
        else:
            # Such as the time in gzip's head, or a copy from elsewhere of the same bytes.
            assert _same_files(run, found.folder)
    assert named > 60


def test_every_cut_is_found(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    for end in (0, 1, 9, 30, *range(500, len(whole), len(whole) // 12), len(whole) - 1):
        archive.write_bytes(whole[:end])
        text = _refused(archive, tmp_path / "there")
        assert "cut" in text or "not gzip" in text


def _unpacked(archive: Path) -> Files:
    with tarfile.open(archive) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m))}


def _pack(archive: Path, files: Files, *further: tarfile.TarInfo, tail: bytes = b"") -> None:
    with (
        gzip.GzipFile(archive, "wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in further:
            tar.addfile(info)
    with archive.open("ab") as file:
        file.write(tail)


def _listed(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    value = json.loads(files[LIST])
    change(value)
    return {**files, LIST: json.dumps(value).encode()}


def test_members_must_be_those_of_the_list(archive: Path, tmp_path: Path) -> None:
    files = _unpacked(archive)
    gate = f"{INSIDE}gate.json"
    cases: list[tuple[Files, str]] = [
        ({n: d for n, d in files.items() if n != gate}, f"member '{gate}': is missing"),
        ({**files, f"{INSIDE}more.json": b"1"}, "member 'run/more.json': is not in"),
        ({**files, "other": b"1"}, "member 'other': is not in"),
        ({**files, gate: b"[ ]"}, f"member '{gate}': SHA-256"),
        ({**files, gate: b""}, f"member '{gate}': 0 bytes, the list says 3"),
        ({n: d for n, d in files.items() if n != LIST}, "begins with"),
        ({}, "begins with 'nothing'"),
        ({**files, LIST: b"{"}, "not the list of an archive"),
        ({**files, LIST: b"[" * 99999}, "not the list of an archive"),
        (_listed(files, lambda v: v.update(format=2)), "has format 2, and this seedbed"),
        (_listed(files, lambda v: v.pop("files")), "not the list"),
        (_listed(files, lambda v: v.update(name="../x")), "'../x' is no name of a folder"),
        (_listed(files, lambda v: v.update(digest="0" * 64)), "configuration '0000"),
        (_listed(files, lambda v: v["files"]["gate.json"].update(bytes=-1)), "below 0"),
    ]
    for changed, told in cases:
        _pack(archive, changed)
        assert told in _refused(archive, tmp_path / "there")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".hidden", "a\\b", "a\nb", "a//b"])
def test_no_name_leads_out_of_the_folder(archive: Path, tmp_path: Path, name: str) -> None:
    files = _unpacked(archive)
    kept = {"bytes": 1, "sha256": "0" * 64}
    changed = _listed(files, lambda v: v["files"].update({name: kept}))
    _pack(archive, {**changed, INSIDE + name: b"1"})
    assert "leads out of the run folder or is no plain name" in _refused(archive, tmp_path / "a")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_refused(archive: Path, tmp_path: Path, kind: bytes) -> None:
    files = _unpacked(archive)
    info = tarfile.TarInfo(f"{INSIDE}gate.json")
    info.type, info.linkname = kind, "/etc/passwd"
    rest = {n: d for n, d in files.items() if n != info.name}
    _pack(archive, rest, info)
    assert "is a link or device" in _refused(archive, tmp_path / "there")


def test_a_member_twice_and_bytes_after_the_end(archive: Path, tmp_path: Path) -> None:
    files = _unpacked(archive)
    again = tarfile.TarInfo(f"{INSIDE}gate.json")
    _pack(archive, files, again)
    assert "stands twice" in _refused(archive, tmp_path / "there")
    _pack(archive, files, tail=gzip.compress(b"more"))
    assert "further bytes" in _refused(archive, tmp_path / "there")
    _pack(archive, files, tail=b"more")
    assert "does not unpack" in _refused(archive, tmp_path / "there")


def test_a_size_beyond_the_disk_is_refused_before_anything_is_read(
    archive: Path, tmp_path: Path
) -> None:
    files = _unpacked(archive)
    _pack(archive, _listed(files, lambda v: v["files"]["gate.json"].update(bytes=10**18)))
    with pytest.raises(DiskError, match="no room"):
        take_in(archive, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_what_unpacks_to_very_much_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "_LONGEST_LIST", 1 << 16)
    _pack(archive, _unpacked(archive), tail=gzip.compress(bytes(4 << 20)))
    assert "more than its list says" in _refused(archive, tmp_path / "there")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").write_bytes(gzip.compress(b"text" * 999))
    assert "not gzip" in _refused(tmp_path / "a", tmp_path / "there")
    assert "no archive of seedbed's" in _refused(tmp_path / "b", tmp_path / "there")
    assert "no such file" in _refused(tmp_path / "c", tmp_path / "there")
    assert "is a folder" in _refused(tmp_path, tmp_path / "there")


def test_an_archive_of_a_damaged_run_is_refused(run: Path, archive: Path, tmp_path: Path) -> None:
    files = _unpacked(archive)
    (run / "gate.json").write_text("[1]")
    kept = kept_of(run / "gate.json")
    changed = _listed(files, lambda v: v["files"].update({"gate.json": vars(kept)}))
    _pack(archive, {**changed, f"{INSIDE}gate.json": b"[1]"})
    assert "the run in it is damaged: gate.json" in _refused(archive, tmp_path / "there")


def test_an_interruption_leaves_nothing_to_be_seen(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(arrival, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        take_in(archive, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_no_other_folder_is_replaced(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "o" / "small", config_of(threads=2))
    made = export(other, tmp_path / "o.tar.gz")
    (run.parent / f"small-{made.identity[:8]}").mkdir()
    with pytest.raises(InputError, match="stands in the way"):
        take_in(tmp_path / "o.tar.gz", run.parent)
    with pytest.raises(InputError, match="is a run"):
        take_in(tmp_path / "o.tar.gz", run)


def test_the_manifest_must_agree(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "x.tar.gz")
    files = _unpacked(tmp_path / "x.tar.gz")
    told = read_json(run / "manifest.json")
    write_json(run / "manifest.json", {**told, "seedbed": "7"})
    data, kept = (run / "manifest.json").read_bytes(), kept_of(run / "manifest.json")
    changed = _listed(files, lambda v: v["files"].update({"manifest.json": vars(kept)}))
    _pack(tmp_path / "x.tar.gz", {**changed, f"{INSIDE}manifest.json": data})
    assert "version '0.1.0', the run in it says '7'" in _refused(
        tmp_path / "x.tar.gz", tmp_path / "there"
    )
