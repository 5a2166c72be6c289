from seedbed.core.seeds import derive, generator, stream


def test_streams_are_fixed_named_and_apart() -> None:
    assert derive(0, "a", 1) == derive(0, "a", "1")
    assert len({derive(s, n) for s in range(50) for n in ("a", "b", "c")}) == 150
    assert stream(3, "x").random() == stream(3, "x").random()
    assert generator(3, "x").random() != generator(3, "y").random()


def test_the_value_is_the_same_on_every_machine() -> None:
    # The first 8 bytes of `printf 7/hops/names | sha256sum`, without the lowest bit.
    assert derive(7, "hops", "names") == 0xE197963537EE76A8 >> 1
