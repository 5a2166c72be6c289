from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seedbed.core.cells import Stream
from seedbed.core.errors import InputError
from seedbed.finders.patches import Patch, Patched, Run, can_matter, patched_logits
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.hooks import Add, edited
from seedbed.models.subject import Subject

LAYERS, HEADS, VOCABULARY, WIDTH = 3, 4, 40, 16
# Logits are up to about 10; 1e-4 on 38 is what the published comparison of peers allows.
CLOSE = 5e-5
SWEPT = {"llama", "lora", "mistral", "qwen2", "qwen3"}


def _spot(architecture: Any, patch: Patch) -> tuple[Any, bool, slice]:
    """(module, whether its input counts, columns), from transformers' own names."""
    path = f"{architecture.blocks}.{patch.layer}"
    if patch.stream in {"resid_pre", "resid_post"}:
        return architecture.model.get_submodule(path), patch.stream == "resid_pre", slice(None)
    part = architecture.parts[("attn_out", "mlp_out", "head").index(patch.stream)]
    module = architecture.model.get_submodule(f"{path}.{part}")
    if patch.head is None:
        return module, False, slice(None)
    size = (getattr(module, "in_features", 0) or module.weight.shape[0]) // HEADS
    return module, True, slice(patch.head * size, (patch.head + 1) * size)


def _alone(architecture: Any, run: Run, patch: Patch) -> tuple[Tensor, Tensor]:
    """(logits of the donor, logits of the patch), one row, no padding, no cache, every token."""
    module, before, columns = _spot(architecture, patch)
    kept: list[Tensor] = []

    def change(hidden: Tensor) -> Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])
        if not kept:
            kept.append(flat.clone())
            return hidden
        flat = flat.clone()
        for i, (ours, theirs) in enumerate(patch.positions):
            value = kept[0][theirs, columns] if patch.values is None else patch.values[i]
            flat[ours, columns] = value
        return flat.view_as(hidden)

    def pre(_: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    def post(_: Any, __: Any, out: Any) -> Any:
        return (change(out[0]), *out[1:]) if isinstance(out, tuple) else change(out)

    handle = (
        module.register_forward_pre_hook(pre, with_kwargs=True)
        if before
        else module.register_forward_hook(post)
    )
    with torch.no_grad():
        donor = architecture.model(torch.tensor([run.donor or run.ids]), use_cache=False).logits[0]
        ours = architecture.model(torch.tensor([run.ids]), use_cache=False).logits[0]
    handle.remove()
    return donor[run.read if run.read < 0 else -1], ours[run.read]


def _plain(architecture: Any, ids: Sequence[int], read: int = -1) -> Tensor:
    with torch.no_grad():
        logits: Tensor = architecture.model(torch.tensor([ids]), use_cache=False).logits[0, read]
    return logits


@st.composite
def _works(draw: st.DrawFn, streams: Sequence[Stream]) -> tuple[list[Run], list[Patch]]:
    """Runs with donors of perhaps another length, and patches anywhere in them."""
    token = st.integers(2, VOCABULARY - 1)
    runs = []
    for _ in range(draw(st.integers(1, 3))):
        ids = draw(st.lists(token, min_size=1, max_size=8))
        common = draw(st.integers(0, len(ids)))
        donor = ids[:common] + draw(st.lists(token, min_size=not common, max_size=4))
        if draw(st.booleans()):
            donor = (donor + ids)[: len(ids)]
        shortest = min(len(ids), len(donor))
        read = draw(st.sampled_from([-1, -1, -shortest]))
        runs.append(Run(tuple(ids), tuple(donor), read))
    patches = []
    for _ in range(draw(st.integers(1, 5))):
        number = draw(st.integers(0, len(runs) - 1))
        run = runs[number]
        ours = draw(st.lists(st.integers(0, len(run.ids) - 1), unique=True, max_size=4))
        last = len(run.donor) - 1
        theirs = [draw(st.sampled_from([min(p, last), draw(st.integers(0, last))])) for p in ours]
        stream = draw(st.sampled_from(streams))
        head = draw(st.integers(0, HEADS - 1)) if stream == "head" else None
        layer = draw(st.integers(0, LAYERS - 1))
        patches.append(Patch(number, stream, layer, tuple(zip(ours, theirs, strict=True)), head))
    return runs, patches


STREAMS: tuple[Stream, ...] = ("resid_pre", "resid_post", "attn_out", "mlp_out", "head")


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_patch_is_what_a_plain_hook_makes_of_it(architecture: Any, data: Any) -> None:
    streams = STREAMS if architecture.parts else STREAMS[:2]
    runs, patches = data.draw(_works(streams))
    found = patched_logits(architecture.model, runs, patches)
    for run, base, donor in zip(runs, found.base, found.donor, strict=True):
        torch.testing.assert_close(
            base, _plain(architecture, run.ids, run.read), atol=CLOSE, rtol=CLOSE
        )
        read = run.read if run.read < 0 else -1
        torch.testing.assert_close(
            donor, _plain(architecture, run.donor, read), atol=CLOSE, rtol=CLOSE
        )
    for patch, logits, noop in zip(patches, found.logits, found.noop, strict=True):
        wanted = _alone(architecture, runs[patch.run], patch)[1]
        torch.testing.assert_close(logits, wanted, atol=CLOSE, rtol=CLOSE)
        if noop:
            assert torch.equal(logits, found.base[patch.run])


@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_batch_size_order_company_and_tier_change_nothing(architecture: Any, data: Any) -> None:
    streams = STREAMS if architecture.parts else STREAMS[:2]
    runs, patches = data.draw(_works(streams))
    wanted = patched_logits(architecture.model, runs, patches, tier="full")
    order = data.draw(st.permutations(range(len(patches))))
    moved = patched_logits(
        architecture.model,
        runs,
        [patches[i] for i in order],
        budget_tokens=data.draw(st.integers(1, 40)),
    )
    _close(moved.logits, wanted.logits[list(order)])
    single = patched_logits(
        architecture.model, [runs[patches[0].run]], [replace(patches[0], run=0)]
    )
    _close(single.logits, wanted.logits[:1])
    every = patched_logits(architecture.model, runs, patches, prune=False)
    _close(every.logits, wanted.logits)
    if architecture.parts and "mamba" not in type(architecture.model).__name__.lower():
        _close(
            patched_logits(architecture.model, runs, patches, tier="prefix").logits, wanted.logits
        )


def _close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=CLOSE, rtol=CLOSE)


A, B = (2, 9, 14, 7, 30, 11), (2, 9, 21, 7, 30, 11)


def _grid(stream: Stream, run: int = 0) -> list[Patch]:
    return [Patch(run, stream, n, ((p, p),)) for n in range(LAYERS) for p in range(len(A))]


def test_a_run_patched_with_itself_is_exactly_the_run(architecture: Any) -> None:
    streams = STREAMS[:4] if architecture.parts else STREAMS[:2]
    patches = [p for s in streams for p in _grid(s)]
    found = patched_logits(architecture.model, [Run(A, A)], patches)
    assert found.noop.all()
    assert torch.equal(found.logits, found.base.expand_as(found.logits))
    # And when it is run all the same, it is off by rounding only.
    ran = patched_logits(architecture.model, [Run(A, A)], patches, prune=False)
    assert not ran.noop.all()
    _close(ran.logits, ran.base.expand_as(ran.logits))


def test_positions_before_the_first_difference_are_exactly_nothing(architecture: Any) -> None:
    found = patched_logits(architecture.model, [Run(A, B)], _grid("resid_pre"))
    moved = (found.logits - found.base).abs().amax(1).view(LAYERS, len(A))
    assert (moved[:, :2] == 0).all()
    # Embeddings know their own token only, so at the first block one cell differs.
    assert (moved[0] > 0).tolist() == [p == 2 for p in range(len(A))]
    assert (moved[1:, 2:] > 0).all()


def test_patching_everything_gives_the_donor(architecture: Any) -> None:
    everywhere = tuple((p, p) for p in range(len(A)))
    patches = [Patch(0, s, n, everywhere) for s in STREAMS[:2] for n in range(LAYERS)]
    found = patched_logits(architecture.model, [Run(A, B)], patches)
    _close(found.logits, found.donor.expand_as(found.logits))
    assert (found.donor - found.base).abs().max() > 0.1


def test_a_patch_that_is_switched_off_has_no_effect_and_says_so(architecture: Any) -> None:
    off = [replace(p, positions=()) for p in _grid("resid_post")]
    found = patched_logits(architecture.model, [Run(A, B)], off)
    assert (found.logits - found.base == 0).all()
    assert found.noop.all()
    assert found.empty.all()
    assert found.checked == 0
    on = patched_logits(architecture.model, [Run(A, B)], _grid("resid_post"))
    assert not on.empty.any()


def test_the_expected_way_is_taken(architecture: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["architecture"]
    found = patched_logits(architecture.model, [Run(A, B)], _grid("resid_pre"))
    wanted = "sweep" if name in SWEPT else "full" if name == "mamba" else "prefix"
    assert (found.tier, found.checked < CLOSE) == (wanted, True)


def test_a_steered_model_is_patched_as_it_is_steered(
    architecture_of: Callable[[str], Any],
) -> None:
    model, patches = architecture_of("llama").model, _grid("resid_pre")
    plain = patched_logits(model, [Run(A, B)], patches)
    vector = 0.1 * torch.ones(WIDTH)
    with edited(model, [Add("resid_post.0", vector)]):
        steered = patched_logits(model, [Run(A, B)], patches)
        alone = _alone(architecture_of("llama"), Run(A, B), patches[-1])[1]
    assert (plain.tier, steered.tier) == ("sweep", "prefix")
    _close(steered.logits[-1], alone)
    assert (steered.base - plain.base).abs().max() > 1e-2


def test_the_check_draws_its_patch_by_the_seed(architecture_of: Callable[[str], Any]) -> None:
    model = architecture_of("llama").model
    given = {s: patched_logits(model, [Run(A, B)], _grid("resid_pre"), seed=s) for s in range(8)}
    again = patched_logits(model, [Run(A, B)], _grid("resid_pre"), seed=3)
    assert again.checked == given[3].checked
    assert len({g.checked for g in given.values()}) > 1
    assert all(torch.equal(g.logits, again.logits) for g in given.values())


def test_a_way_that_does_not_fit_is_refused(architecture_of: Callable[[str], Any]) -> None:
    patches = _grid("resid_pre")
    for name, tier, why in [
        ("gpt2", "sweep", "its body is not embeddings, blocks, a norm and rotary positions"),
        ("window", "sweep", "not every block attends to all earlier tokens"),
        ("gemma2", "sweep", "it has attn_logit_softcapping"),
        ("olmo2", "sweep", "a block consists of"),
        ("granite", "sweep", "its blocks compute something else than Llama's"),
        ("smollm3", "sweep", "its blocks compute something else than Llama's"),
        ("mamba", "prefix", "it has no key-value cache"),
    ]:
        with pytest.raises(InputError, match=f"tier '{tier}'.*{why}"):
            patched_logits(architecture_of(name).model, [Run(A, B)], patches, tier=tier)  # type: ignore[arg-type]  # from a list of strings
    with pytest.raises(InputError, match="'fast' is none of auto, sweep, prefix, full"):
        patched_logits(architecture_of("llama").model, [Run(A, B)], patches, tier="fast")  # type: ignore[arg-type]  # as meant


@pytest.mark.parametrize("name", ["smollm3"])
def test_a_first_prompt_of_one_token_repeated_does_not_settle_the_way(
    name: str, architecture_of: Callable[[str], Any]
) -> None:
    # Attention over equal tokens looks the same with and without rotary positions.
    model = deepcopy(architecture_of(name).model)
    patched_logits(model, [Run((3,) * 9, (3,) * 8)], [])
    # Without a patch there is none to check.
    found = patched_logits(model, [Run(A, B)], [])
    _close(found.base, patched_logits(model, [Run(A, B)], [], tier="full").base)
    assert found.tier == "prefix"


def test_values_may_be_given(architecture: Any) -> None:
    values = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0))
    streams = ("resid_pre", "resid_post", "mlp_out", "attn_out")[: 4 if architecture.parts else 2]
    patches = [
        Patch(0, s, n, ((1, 0), (5, 0)), values=values)  # type: ignore[arg-type]  # from a tuple of strings
        for s in streams for n in range(LAYERS)
    ]  # fmt: skip
    if architecture.parts:
        size = blocks_of(architecture.model).numbers(Site("head", 1, 2))
        assert size * HEADS >= WIDTH
        patches.append(Patch(0, "head", 1, ((1, 0), (5, 0)), 2, values=values[:, :size]))
    run = Run(A, ())
    found = patched_logits(architecture.model, [run], patches)
    assert found.donor.isnan().all()
    for patch, logits in zip(patches, found.logits, strict=True):
        # The oracle's first pass is not a donor here; its states are not used.
        _close(logits, _alone(architecture, run, patch)[1])


def test_donors_may_run_on_another_model(architecture_of: Callable[[str], Any]) -> None:
    ours, theirs = (architecture_of(n).model for n in ("mistral", "llama"))
    everywhere = tuple((p, p) for p in range(len(A)))
    patches = [Patch(0, "resid_post", LAYERS - 1, everywhere), Patch(0, "attn_out", 1, everywhere)]
    found = patched_logits(ours, [Run(A, A)], patches, donor_model=theirs)
    assert not found.noop.any()
    _close(found.donor[0], theirs(torch.tensor([A])).logits[0, -1].detach())
    kept: list[Tensor] = []
    handle = theirs.model.layers[-1].register_forward_hook(lambda _, __, out: kept.append(out))
    theirs(torch.tensor([A]))
    handle.remove()
    _close(found.logits[0], ours.lm_head(ours.model.norm(kept[0][0, -1])).detach())
    itself = patched_logits(ours, [Run(A, A)], patches, donor_model=ours)
    _close(itself.logits, itself.base.expand_as(itself.logits))
    with pytest.raises(InputError, match="donor_model has 2 blocks, the model 3"):
        patched_logits(ours, [Run(A, A)], patches, donor_model=_shallow())


def _shallow() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=8,
                         num_hidden_layers=2, num_attention_heads=4, pad_token_id=None,
                         bos_token_id=0, eos_token_id=None)  # fmt: skip
    return LlamaForCausalLM(config)


def test_only_wanted_logits_come_back(architecture_of: Callable[[str], Any]) -> None:
    for name in ("llama", "gpt2", "mamba"):
        model = architecture_of(name).model
        runs = [Run(A, B), Run(B, A)]
        patches = [*_grid("resid_pre"), *_grid("resid_pre", 1)]
        whole = patched_logits(model, runs, patches)
        some = patched_logits(model, runs, patches, [5, 3])
        _close(some.logits, whole.logits[:, [5, 3]])
        _close(some.donor, whole.donor[:, [5, 3]])
        each = patched_logits(model, runs, patches, [[5, 3], [8, 5]])
        _close(each.base[1], whole.base[1, [8, 5]])
        _close(each.logits[len(A) * LAYERS :], whole.logits[len(A) * LAYERS :][:, [8, 5]])


def test_a_later_read_position_is_not_run(architecture: Any) -> None:
    run = Run(A, B, read=-3)
    patches = [Patch(0, "resid_pre", 1, ((p, p),)) for p in range(len(A))]
    found = patched_logits(architecture.model, [run], patches)
    assert found.noop.tolist() == [True, True, False, False, True, True]
    _close(found.base[0], _plain(architecture, A, -3))
    _close(found.logits[3], _alone(architecture, run, patches[3])[1])


def test_which_patches_can_matter(architecture_of: Callable[[str], Any]) -> None:
    model = architecture_of("llama").model
    runs, patches = [Run(A, B)], [*_grid("resid_pre"), *_grid("mlp_out")]
    alive = can_matter(Subject(model, None), runs, patches)
    assert alive == (~patched_logits(model, runs, patches).noop).tolist()


def test_nothing_to_patch_gives_the_unpatched_logits(architecture: Any) -> None:
    found = patched_logits(architecture.model, [Run(A, B)], [])
    _close(found.base[0], _plain(architecture, A))
    assert found.logits.shape == (0, VOCABULARY)


@pytest.mark.parametrize(
    ("run", "patch", "message"),
    [
        (Run((), B), Patch(0, "resid_pre", 0, ()), "run 0: has no tokens"),
        (Run(A, B, 6), Patch(0, "resid_pre", 0, ()), "run 0: position 6 is read, but it has 6"),
        (Run(A, (2, 99)), Patch(0, "resid_pre", 0, ()), "run 0: token id 99 is outside the voc"),
        (Run(A, B), Patch(1, "resid_pre", 0, ()), "patch 0: there is no run 1; runs are 0 to 0"),
        (Run(A, B), Patch(0, "resid_pre", 3, ()), "patch 0: resid_pre.3: the model has blocks 0"),
        (Run(A, B), Patch(0, "resid_pre", 0, ((6, 0),)), "patch 0: position 6 is outside the rec"),
        (Run(A, B), Patch(0, "resid_pre", 0, ((0, 6),)), "patch 0: position 6 is outside the don"),
        (Run(A, B), Patch(0, "resid_pre", 0, ((1, 2), (1, 3))), "patch 0: a position of the reci"),
        (Run(A, ()), Patch(0, "resid_pre", 0, ((1, 2),)), "patch 0: run 0 has no donor and the"),
        (Run(A, B), Patch(0, "resid_pre", 0, ((1, 2),), values=torch.zeros(2, WIDTH)),
         "patch 0: 2 values for 1 positions"),
        (Run(A, B), Patch(0, "resid_pre", 0, ((1, 2),), values=torch.zeros(1, 3)),
         "patch 0: values of width 3; resid_pre.0 has 16"),
        (Run(A, B), Patch(0, "head", 0, ((1, 2),), 1, values=torch.zeros(1, 3)),
         "patch 0: values of width 3; head.0.1 has 4"),
        (Run(A, B), Patch(0, "head", 0, ((1, 2),), 4), "patch 0: head.0.4: a block has heads 0"),
    ],
)  # fmt: skip
def test_unfit_input_is_named(
    run: Run, patch: Patch, message: str, architecture_of: Callable[[str], Any]
) -> None:
    with pytest.raises(InputError) as error:
        patched_logits(architecture_of("llama").model, [run], [patch])
    assert str(error.value).startswith(message)


def test_unfit_tokens_are_named(architecture_of: Callable[[str], Any]) -> None:
    model, run = architecture_of("llama").model, Run(A, B)
    with pytest.raises(InputError, match="2 lists for 1 runs"):
        patched_logits(model, [run], [], [[1], [2]])
    with pytest.raises(InputError, match="40 is outside the vocabulary of 40"):
        patched_logits(model, [run], [], [40])
    with pytest.raises(InputError, match="equally long"):
        patched_logits(model, [run, run], [], [[1], [2, 3]])


def test_the_model_is_left_as_it_was(architecture: Any) -> None:
    model = architecture.model
    state = {k: v.clone() for k, v in model.state_dict().items()}
    own = [(sorted(m.__dict__), len(m._forward_hooks), len(m._forward_pre_hooks), m.training)
           for m in model.modules()]  # fmt: skip
    config = model.config.to_dict()
    found: Patched = patched_logits(model, [Run(A, B)], _grid("resid_post"))
    assert found.seconds > 0
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert model.config.to_dict() == config
    assert own == [
        (sorted(m.__dict__), len(m._forward_hooks), len(m._forward_pre_hooks), m.training)
        for m in model.modules()
    ]
    assert all(p.grad is None for p in model.parameters())
