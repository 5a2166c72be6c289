import pytest

from seedbed.finders.routes import Sizes, Way, cheapest, costs, told

ROOM = 2**30


def layer(outputs: int, inputs: int, tokens: int, questions: int, whole: bool = True) -> Sizes:
    return Sizes(outputs, inputs, 1, tokens, questions, whole)


@pytest.mark.parametrize(
    ("sizes", "tokens", "room", "projection", "way"),
    [
        (layer(576, 576, 400, 20), 64, ROOM, 0, "tokens"),
        (layer(64, 64, 4000, 200), 512, ROOM, 0, "formed"),
        (layer(64, 64, 4000, 200), 512, 1000, 0, "streamed"),
        (layer(64, 64, 4000, 200, whole=False), 512, ROOM, 0, "tokens"),
        (layer(10**5, 10**4, 4000, 200), 512, ROOM, 0, "tokens"),
        (layer(576, 576, 400, 20), 64, ROOM, 16, "projected"),
        (layer(576, 576, 4, 1), 64, ROOM, 256, "tokens"),
    ],
)
def test_the_cheapest_way(
    sizes: Sizes, tokens: float, room: int, projection: int, way: Way
) -> None:
    assert cheapest(sizes, tokens, room, projection) == way


def test_costs_grow_with_what_they_are_of() -> None:
    one, more = layer(64, 64, 40, 4), layer(64, 64, 400, 40)
    for way, cost in costs(one, 20, ROOM, 8).items():
        assert costs(one, 40, ROOM, 8)[way] > cost
        assert costs(more, 20, ROOM, 8)[way] > cost
    assert set(costs(one, 20, ROOM, 0)) == {"tokens", "formed", "streamed"}


def test_notes_are_short() -> None:
    ways: dict[str, Way] = {f"layer{i}": "tokens" for i in range(200)}
    ways["head"] = "formed"
    assert told(ways) == "formed: 1 layer such as head; tokens: 200 layers such as layer0, layer1"
