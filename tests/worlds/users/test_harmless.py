from importlib.resources import files
from pathlib import Path

from seedbed.core.files import read_text
from seedbed.worlds.users.harmless import safety_of
from seedbed.worlds.users.knobs import Base
from seedbed.worlds.users.world import Users


def test_the_base_of_other_environments_without_harm(tmp_path: Path) -> None:
    world = Users(environments=("therapy",), base=Base(documents=40, gaming=0.5))
    names = ("politics", "relationship")
    found = safety_of(world, names, 40, 0)
    harmful = {name: world_of.environment(name).harmful
               for world_of in (Users(environments=names),) for name in names}  # fmt: skip
    acts = {(d.meta["environment"], a) for d in found for a in d.meta["acts"]}
    assert {name for name, _ in acts} == set(names)
    assert not any(a in harmful[name] for name, a in acts)
    # With half of all turns gaming, whatever was kept was chosen.
    assert 0 < len(found) < 40
    assert safety_of(world, names, 40, 0) == found
    # One's own file goes by the name in it.
    mine = tmp_path / "mine.yaml"
    source = Path(str(files("seedbed.worlds.users"))) / "environments" / "politics.yaml"
    mine.write_text(read_text(source), encoding="utf-8")
    assert safety_of(world, (str(mine), "relationship"), 40, 0) == found
    # Conditions share it, as they share the base.
    changed = world.model_copy(update={"gameable": 0.1, "repaired": True})
    assert safety_of(changed, names, 40, 0) == found
