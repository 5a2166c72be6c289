"""`seedbed view`'s server: what it shows of runs as they come and go, and what it never gives."""

import http.client
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from seedbed.cli.main import main
from seedbed.core.errors import InputError
from seedbed.core.files import write_json, write_text
from seedbed.core.progress import NAME, Ended, Now, Progress, Waiting
from seedbed.report import serve
from seedbed.report.live_page import HOST
from seedbed.report.running import state_of
from seedbed.report.serve import LIVE, Viewed, server, with_bar
from seedbed.report.site import write_site
from seedbed.runs.summary import Summary

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAGE = "<!doctype html><html><body class='site'><h1>{}</h1></body></html>"


def told(run: Path, **more: Any) -> Progress:
    """A progress.json of this very process, as `seedbed run` writes it."""
    values: dict[str, Any] = {
        "pid": os.getpid(), "host": platform.node(), "planned": 9, "done": 1, "seconds": 2.5,
        "started": datetime.now(UTC).isoformat(), "at": datetime.now(UTC).isoformat(),
        "kinds": (("data", 1, 3), ("train", 0, 3), ("measure", 0, 3)),
        "now": (Now(seed=0, name="train", done=40, total=400, text="loss 0.975"),),
        "waiting": (Waiting(seed=0, name="train", folder="train-aa"),
                    Waiting(seed=1, name="data", folder="data-bb"),
                    Waiting(seed=1, name="train", folder="train-cc")),
        "newest": (Ended(seed=0, name="data", seconds=2.5, taken=False),),
        "losses": ("lost worker 1: killed by signal 9; tried again",), "lost": 1,
    }  # fmt: skip
    found = Progress(**values | more)
    write_json(run / NAME, found.model_dump(mode="json"))
    return found


@pytest.fixture
def root(fresh: Path, tmp_path: Path) -> Path:
    """A folder of runs: a finished one, one at work, and what must not be served."""
    root = tmp_path / "all" / "runs"
    shutil.copytree(fresh, root / "done")
    write_text(root / "done" / "report.html", PAGE.format("report"))
    write_text(root / "done" / ".lease", "{}")
    begin(root / "at work")
    (root / ".store" / "data-bb.part-1f").mkdir(parents=True)
    write_text(root / ".store" / "data-aa" / "secret.json", "{}")
    write_text(root.parent / "beside.html", PAGE.format("beside"))
    return root


def begin(run: Path) -> None:
    """A study that just started."""
    write_text(run / "config.yaml", "name: busy\nworld: {kind: hops}\nsubject: {kind: tiny}\n"
               "seeds: [0, 1, 2]\nfinders: [{kind: bm25}]\n")  # fmt: skip
    told(run)


def tiny(runs: Sequence[Summary], out: Path) -> None:
    """A site of one page; the real one is tested by itself."""
    names = ", ".join(f"{r.study} {r.state}" for r in runs)
    write_text(out / "index.html", PAGE.format(names))
    write_text(out / "assets" / "site.css", "h1 { color: red }")


@pytest.fixture
def viewed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Viewed:
    """Builds as soon as something changed, however long a busy machine took over the last one."""
    monkeypatch.setattr(serve, "_REST", 0.0)
    return Viewed(root, root / ".site", tiny)


@pytest.fixture
def served(viewed: Viewed) -> Iterator[int]:
    with server(viewed) as serving:
        thread = Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield serving.server_address[1]
        finally:
            serving.shutdown()
            thread.join()


def ask(
    port: int, path: str, method: str = "GET", host: str = HOST
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"{host}:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def test_the_first_page_is_the_site_once_there_is_one(viewed: Viewed, served: int) -> None:
    assert ask(served, "/")[1]["Location"] == LIVE
    assert viewed.look()
    status, heads, _ = ask(served, "/")
    assert (status, heads["Location"]) == (302, "/.site/index.html")
    status, heads, text = ask(served, heads["Location"])
    assert (status, heads["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>busy unfinished, hops finished</h1>" in text
    assert f'<a href="{LIVE}">1 study is running</a>' in text


def test_files_of_site_and_runs_have_their_types(viewed: Viewed, served: int) -> None:
    viewed.look()
    for path, kind in (
        ("/.site/assets/site.css", "text/css"),
        ("/done/report.html", "text/html"),
        ("/done/scores.json", "application/json"),
        ("/at%20work/config.yaml", "application/yaml"),
    ):
        status, heads, text = ask(served, path)
        assert (status, heads["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert int(heads["Content-Length"]) == len(text.encode())
        status, again, text = ask(served, path, "HEAD")
        assert (status, text) == (200, "")
        assert {**again, "Date": ""} == {**heads, "Date": ""}
    # A report is served as it is: its policy allows nothing to be put in.
    assert ask(served, "/done/report.html")[2] == PAGE.format("report")


@pytest.mark.parametrize(
    "path",
    [
        "/../beside.html", "/%2e%2e/beside.html", "/..%2fbeside.html", "/done/../../beside.html",
        "/.store/data-aa/secret.json", "/done/.lease", "/.index.sqlite", "//etc/passwd",
        "/..%5cbeside.html", "/done%00.html", "/link.html", "/linked/beside.html", "/done/",
        "/done", "/none.html", "/-/run/..%2f/", "/-/run/done/../state.json", "/-/none",
        "/-/run/none/state.json", "/-/run//state.json", "/%ff.html",
        "/done/seeds/0/train/subject/model.safetensors",
    ],
)  # fmt: skip
def test_nothing_else_is_given(viewed: Viewed, served: int, path: str) -> None:
    viewed.look()
    (viewed.root / "link.html").symlink_to(viewed.root.parent / "beside.html")
    (viewed.root / "linked").symlink_to(viewed.root.parent)
    weights = viewed.root / "done" / "seeds" / "0" / "train" / "subject"
    weights.mkdir(parents=True, exist_ok=True)
    (weights / "model.safetensors").write_bytes(b"weights")
    status, _, text = ask(served, path)
    assert status == 404
    assert "beside" not in text


def test_only_this_machine_and_only_reading(viewed: Viewed, served: int) -> None:
    assert ask(served, "/-/state.json", host="example.org")[0] == 403
    for method in ("POST", "PUT", "DELETE"):
        assert ask(served, "/-/state.json", method)[0] == 501


def test_a_run_that_starts_and_ends_is_followed(viewed: Viewed, root: Path, served: int) -> None:
    viewed.look()
    begin(root / "later")
    assert viewed.look()

    def states() -> dict[str, str]:
        found = json.loads(ask(served, "/-/state.json")[2])
        return {one["folder"]: one["state"] for one in found["studies"]}

    assert states() == {"at work": "running", "later": "running"}
    for name in ("manifest.json", "gate.json", "scores.json"):
        shutil.copy(root / "done" / name, root / "later" / name)
    (root / "later" / NAME).unlink()
    assert viewed.look()
    assert states() == {"at work": "running", "later": "finished"}
    assert "busy finished" in ask(served, "/.site/index.html")[2]
    shutil.rmtree(root / "later")
    viewed.look()
    assert states() == {"at work": "running"}
    # Nothing changed: nothing is built again.
    assert not viewed.look()


def test_a_running_study_has_a_page_of_its_own(viewed: Viewed, served: int) -> None:
    viewed.look()
    address = json.loads(ask(served, "/-/state.json")[2])["studies"][0]["address"]
    status, _, text = ask(served, address)
    assert (status, "seedbed watch" in text) == (200, True)
    state = json.loads(ask(served, f"{address}state.json")[2])
    assert state["run"]["stages"]["planned"] == 9
    assert [name for name, there in state["stages"] if there] == ["configured"]


def test_a_site_that_cannot_be_built_is_said_and_live_goes_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(runs: Sequence[Summary], out: Path) -> None:
        raise InputError(f"{out}: holds something that is not a site")

    viewed = Viewed(root, root / ".site", broken)
    viewed.look()
    assert "not a site" in viewed.state()["trouble"]
    assert len(viewed.state()["studies"]) == 1
    assert "could not be built" in capsys.readouterr().err


def test_the_keeper_looks_until_it_is_told_to_end(viewed: Viewed) -> None:
    ended = Event()
    thread = Thread(target=viewed.keep, args=(ended, 0.01))
    thread.start()
    for _ in range(500):
        if viewed.built:
            break
        ended.wait(0.01)
    ended.set()
    thread.join(10)
    assert not thread.is_alive()
    assert viewed.runs == 2


def test_a_folder_that_cannot_be_viewed_is_refused(root: Path, tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none", "no such folder"), (root / "done", "is a run; give")):
        with pytest.raises(InputError, match=what):
            Viewed(path, tmp_path / "site", tiny)


def test_a_port_in_use_is_one_line(viewed: Viewed, served: int) -> None:
    with pytest.raises(InputError, match=f"^port {served}: .*--port 0 takes a free one$"):
        server(viewed, served)


def test_the_command_refuses_in_one_line(
    root: Path, served: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, line in (
        ([root / "none"], f"error: {root / 'none'}: no such folder"),
        ([root, "--port", served], f"error: port {served}: "),
    ):
        monkeypatch.setattr(sys, "argv", ["seedbed", "view", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(line)
        assert said.count("\n") == 1


def test_a_page_without_a_body_stays_as_it_is() -> None:
    assert with_bar(b"<p>hello</p>", 2) == b"<p>hello</p>"
    assert b"2 studies are running" in with_bar(b"<body><p>hello</p>", 2)


def test_the_state_of_a_run_at_work(root: Path) -> None:
    state = state_of(root / "at work")
    assert (state["state"], state["study"], state["world"]) == ("running", "busy", "hops")
    stages = state["stages"]
    # One stage tells how far it is, another is seen by its folder in the store.
    assert [(s["seed"], s["name"], s["share"]) for s in stages["now"]] == [
        (0, "train", 0.1), (1, "data", None),
    ]  # fmt: skip
    assert stages["losses"] == ["lost worker 1: killed by signal 9; tried again"]


def test_a_run_whose_process_is_gone_is_silent(root: Path) -> None:
    run = root / "at work"
    # No process has this number: it is beyond what Linux gives.
    told(run, pid=2**22 + 1)
    state = state_of(run)
    assert state["state"] == "silent"
    assert state["why"].startswith("its process is gone; go on with: seedbed run")


def test_a_run_on_another_machine_is_believed_while_it_speaks(root: Path) -> None:
    run = root / "at work"
    told(run, host="node7")
    assert state_of(run)["state"] == "running"
    os.utime(run / NAME, (1, 1))
    assert state_of(run)["why"].startswith("no word from node7")


def test_gate_and_scores_are_shown_as_they_come(root: Path) -> None:
    run = root / "at work"
    assert (state_of(run)["gate"], state_of(run)["scores"]) == ([], [])
    for name in ("gate.json", "scores.json"):
        shutil.copy(root / "done" / name, run / name)
    state = state_of(run)
    assert {row["seed"] for row in state["gate"]} == {0, 1}
    assert {"chance", "oracle", "bm25"} <= {row["finder"] for row in state["scores"]}
    values = [row["value"] for row in state["scores"]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", [NAME, "gate.json", "config.yaml"])
def test_what_cannot_be_read_is_said(root: Path, name: str) -> None:
    (root / "at work" / name).write_text("{")
    assert name in state_of(root / "at work")["trouble"]


def test_in_a_browser_a_study_appears_and_the_site_opens(root: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    viewed = Viewed(root, tmp_path / "all" / "site", write_site)
    viewed.look()
    troubles: list[str] = []
    with server(viewed) as serving, sync_api.sync_playwright() as playwright:
        thread = Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page: Any = browser.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"http://{HOST}:{serving.server_address[1]}{LIVE}")
        page.get_by_role("link", name="at work").wait_for()
        assert page.inner_text("#status") == "1 study is running."
        assert "seed 0 train" in page.inner_text(".now")
        told(root / "at work", done=4, now=())
        page.locator(".total", has_text="4 of 9 stages").wait_for()
        page.click("#site")
        page.get_by_role("link", name="1 study is running").wait_for()
        browser.close()
        serving.shutdown()
        thread.join()
    assert troubles == []
