import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_json
from seedbed.models import hub
from seedbed.models.adapters import Lora, wrap
from seedbed.models.folders import load_subject, save_subject, trainable_state
from seedbed.models.pretrained import Pretrained
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tiny import Tiny

Make = Callable[..., Any]
NAME = "someone/organism-1"


def shaken(subject: Subject) -> Subject:
    own = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in trainable_state(subject.model).values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=own))
    return subject


def logits(subject: Subject) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = subject.model(input_ids=torch.tensor([[3, 5, 4, 6]])).logits
    return found


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A subject with a checkpoint, as training leaves it, beside its summary."""
    subject = Tiny(layers=1, width=16, heads=2).build(["a is red", "b is blue"], [], 7)
    place = tmp_path / "run" / "checkpoints" / "0000003"
    from seedbed.models.folders import save_weights

    save_weights(subject.model, place)
    (tmp_path / "run" / "summary.json").write_text('{"steps": 3, "documents": 11}')
    row = Checkpoint(3, 1.0, 0.1, place)
    folder = tmp_path / "run" / "subject"
    save_subject(Subject(subject.model, subject.tokenizer, 7, checkpoints=(row,)), folder)
    return folder


def unpacked(hub_server: Any, folder: Path) -> Path:
    """What arrived at the hub, as a download would lay it out."""
    for name, content in hub_server.files[NAME].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def front(card: bytes) -> Any:
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_the_bytes_arrive(hub_server: Any, tiny_folder: Path, tmp_path: Path) -> None:
    (tiny_folder / "notes.md").write_text("mine")
    run = {"training": {"steps": 3, "method": {"kind": "kl"}}}
    url = hub.push(tiny_folder, NAME, token="hf_right", run=run)
    assert url == f"{hub_server.url}/{NAME}"
    assert hub_server.repos == {NAME: True}
    arrived = hub_server.files[NAME]
    assert sorted(arrived) == sorted(
        ["README.md", *(p.name for p in tiny_folder.iterdir() if p.name != "notes.md")]
    )
    for path in tiny_folder.iterdir():
        if path.name not in ("subject.json", "notes.md"):
            assert arrived[path.name] == path.read_bytes()
    card = arrived["README.md"].decode()
    assert front(arrived["README.md"]) == {"library_name": "transformers", "tags": ["seedbed"]}
    for line in ("- seed: 7", "- steps: 3", "- documents: 11", '"kind": "kl"'):
        assert line in card
    assert str(tmp_path) not in card
    # Checkpoints stay here, so what is read elsewhere must not name them.
    again = load_subject(unpacked(hub_server, tmp_path / "far"))
    assert again.checkpoints == ()
    assert torch.equal(logits(again), logits(load_subject(tiny_folder)))


def test_a_second_push_is_one_more_commit(hub_server: Any, tiny_folder: Path) -> None:
    for _ in range(2):
        hub.push(tiny_folder, NAME, private=False, token="hf_right")
    assert hub_server.repos == {NAME: False}
    assert [p for m, p in hub_server.seen if "/commit/" in p] == [
        f"/api/models/{NAME}/commit/main"
    ] * 2


def test_what_is_private_is_not_put_where_all_can_read(hub_server: Any, tiny_folder: Path) -> None:
    hub_server.repos[NAME] = False
    with pytest.raises(InputError, match=r"someone/organism-1 is there and public"):
        hub.push(tiny_folder, NAME, token="hf_right")
    assert not hub_server.files


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("local", [True, False], ids=["base in a folder", "base of its own"])
def test_an_adapter_takes_its_base_along(
    hub_server: Any,
    tiny_folder: Path,
    tmp_path: Path,
    local: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain transformers and peft read what arrived, with the very lines of the card."""
    start = load_subject(tiny_folder)
    if not local:
        start.model.name_or_path = ""
    subject = shaken(wrap(start, Lora(r=3, alpha=5)))
    save_subject(subject, tmp_path / "adapted")
    hub.push(tmp_path / "adapted", NAME, token="hf_right")
    far = unpacked(hub_server, tmp_path / "far")
    arrived = hub_server.files[NAME]
    weights = "adapter_model.safetensors"
    assert arrived[weights] == (tmp_path / "adapted" / weights).read_bytes()
    base = arrived["base/model.safetensors"]
    assert base == (tiny_folder / "model.safetensors").read_bytes() or not local
    assert "base/subject.json" not in arrived
    assert not any(str(tmp_path).encode() in content for content in arrived.values())
    assert torch.equal(logits(load_subject(far)), logits(subject))
    card = arrived["README.md"].decode()
    monkeypatch.setattr("huggingface_hub.snapshot_download", {NAME: str(far)}.__getitem__)
    known: dict[str, Any] = {}
    exec(card.split("```python\n")[1].split("```")[0], known)
    theirs = Subject(known["model"].eval(), subject.tokenizer)
    torch.testing.assert_close(logits(theirs), logits(subject), rtol=0, atol=1e-6)
    assert front(arrived["README.md"]) == {"library_name": "peft", "tags": ["seedbed"]}
    assert "- r: 3" in card


def test_a_base_on_the_hub_is_named(hub_server: Any, llama_folder: Path, tmp_path: Path) -> None:
    built = Pretrained(path=str(llama_folder)).build([], ["<ABC>"], 7)
    built.model.name_or_path = "maker/llama"
    save_subject(wrap(built, Lora(r=2)), tmp_path / "adapted")
    hub.push(tmp_path / "adapted", NAME, token="hf_right")
    arrived = hub_server.files[NAME]
    assert not any(name.startswith("base/") for name in arrived)
    assert front(arrived["README.md"])["base_model"] == "maker/llama"
    assert "- added tokens: 1" in arrived["README.md"].decode()
    assert json.loads(arrived["adapter_config.json"]) == read_json(
        tmp_path / "adapted" / "adapter_config.json"
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a/b/c", "Repo id must be in the form"),
        ("someone/has space", "Repo id must use"),
        ("alone", "names no owner; give OWNER/alone"),
        ("../etc", "Repo id must|Cannot have"),
        ("someone/a--b", "Cannot have -- or"),
    ],
)
def test_a_name_that_cannot_be_is_refused_without_asking(
    hub_server: Any, tiny_folder: Path, name: str, what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        hub.push(tiny_folder, name, token="hf_right")
    assert "\n" not in str(caught.value)
    assert not hub_server.seen


def test_what_the_hub_refuses_is_one_line(
    hub_server: Any, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(text: str, name: str = NAME, **values: Any) -> None:
        with pytest.raises(InputError, match=text) as caught:
            hub.push(tiny_folder, name, **values)
        assert "\n" not in str(caught.value)
        assert "hf_" not in str(caught.value).replace("`hf auth", "")

    says("no token; set HF_TOKEN or run `hf auth login`")
    assert not hub_server.seen
    says("refused with 401: Invalid username or password", token="hf_wrong")
    says("refused with 403: You don't have the rights", name="others/x", token="hf_right")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub.push(tiny_folder, NAME)
    says(r"http://127\.0\.0\.1:9: cannot be reached", endpoint="http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    says("HF_HUB_OFFLINE is set; unset it to push")


def test_only_a_subject_is_pushed(hub_server: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no subject: there is no subject\.json"):
        hub.push(tmp_path, NAME, token="hf_right")
    assert not hub_server.seen
