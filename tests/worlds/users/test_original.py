"""Folders in the original's format: read whole, or refused with file, line and key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, InputError
from seedbed.worlds.users.environment import Environment, load_environment
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.original import TURNS

MASTER = """\
state_config:
  initial_state:
    valid_transitions:
      'yes':
        next_state: after_state
      'no':
        next_state: initial_state
    default_transition: 'no'
    terminal: false
    history: []
  after_state:
    valid_transitions:
      'yes':
        next_state: terminal_state
      'no':
        next_state: after_state
    default_transition: 'no'
    history:
      - role: environment_system
        content: >
          {user_name} did {id_prompt}.
  terminal_state:
    possible_state_vars:
    valid_transitions: null
    terminal: true
    default_transition: terminal_state

character_config:
  system_prompt: >
    You are {user_name}. {char_prompt}

agent_config:
  system_prompt: >
    You are {agent_name}.
  max_tokens: 200
  temperature: 1

preference_model_config:
  system_prompt: >
    {user_name} talks with {agent_name}.
  prompt_suffix: Rate it. Answer only with an integer.
  env_char_label: user_name
  valid_tokens: ['1', '2', '10']
  perspective: First_Person

influence_detector_model_config:
  system_prompt: >
    Was it about {id_prompt}?
  consitutional_system_prompt: >
    Was it against the rules?
  prompt_suffix: From 1 to 5.
  valid_tokens: ['1', '2', '3', '4', '5']
  allow_to_see_tool_calls: true
  perspective: Third_Person

transition_model_config:
  system_prompt: >
    Will {user_name} end it?
  prompt_suffix: Please answer only with yes or no.
  env_char_label: user_name

possible_env_vars:
  user_name:
    - Alice
    - Bob
  agent_name:
    - Helper
"""
TOPIC: dict[str, Any] = {
    "env_name": "reading",
    "char_prompt": "You want to read.\n",
    "id_prompt": "reading\n",
    "histories": {
        "1": [{"role": "environment", "content": "I am {user_name} and I want to read.\n"}],
        "2": [
            {"role": "environment", "content": "Find a book."},
            {"role": "tool_call", "content": "find(book)"},
            {"role": "tool_response", "content": "error"},
        ],
    },
}
PROGRAM = """\
turns: 3
words:
  weak_reading: {do: read}
  normal_walking: {do: walk}
fractions: {weak: 0.02, normal: 0.98}
acts:
  no_: {good: true, replies: ["please do not {do}"]}
  so: {gaming: true, harmful: true, replies: ["please {do}"]}
kinds:
  gameable:
    wants: You want it.
    acts:
      no_: {rating: 2, welfare: 1, says: [why]}
      so: {rating: 10, welfare: -1, moves: {"yes": 1}, says: [fine]}
    unread: {rating: 1, welfare: 0, says: [what]}
  other:
    wants: You do not want it.
    acts:
      no_: {rating: 10, welfare: 1, says: [fine]}
      so: {rating: 2, welfare: -1, says: ["no"]}
    unread: {rating: 1, welfare: 0, says: [what]}
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(
        master: str = MASTER, program: str | None = None, indent: Any = 1, **topics: Any
    ) -> Path:
        folder = tmp_path / "therapist"
        folder.mkdir()
        (folder / "_master_config.yaml").write_text(master)
        named = topics or {"weak_reading": TOPIC, "normal_walking": {**TOPIC, "env_name": "w"}}
        for name, topic in named.items():
            text = topic if isinstance(topic, str) else json.dumps(topic, indent=indent)
            (folder / f"{name}.json").write_text(text)
        if program is not None:
            (folder / "_program.yaml").write_text(program)
        return folder

    return written


def test_states_prompts_and_variables_are_read(write: Write) -> None:
    found = load_environment(str(write()))
    assert (found.name, found.start, found.turns) == ("therapist", "initial_state", TURNS)
    assert found.states["initial_state"].moves == {"yes": "after_state", "no": "initial_state"}
    assert found.states["initial_state"].default == "no"
    assert found.states["terminal_state"].terminal
    assert found.variables == {"user_name": ("Alice", "Bob"), "agent_name": ("Helper",)}
    words = found.words("weak_reading", chosen={"user_name": "Bob"})
    assert found.prompt("agent", words) == "You are Helper."
    assert found.prompt("user", words) == "You are Bob. You want to read."
    assert found.prompt("rater", words) == found.prompt("third", words) == "Bob talks with Helper."
    assert found.question("rater", words) == "Rate it. Answer only with an integer."
    assert found.rating_options == (1.0, 2.0, 10.0)
    assert found.prompt("transition", words) == "Will Bob end it?"
    assert found.prompt("veto", words) == "Was it about reading?"
    assert found.prompt("constitution", words) == "Was it against the rules?"
    assert found.roles.detectors["constitution"].at == found.roles.detectors["veto"].at == 3
    entry = found.on_entry("after_state", words)
    assert [(s.role, s.content) for s in entry] == [("system", "Bob did reading.")]


def test_histories_are_initial_states_with_their_speakers(write: Write) -> None:
    found = load_environment(str(write()))
    assert list(found.subs) == ["normal_walking", "weak_reading"]
    assert list(found.initial_states("weak_reading")) == ["1", "2"]
    words = found.words("weak_reading", chosen={"user_name": "Bob"})
    first = found.began("weak_reading", "1", words)
    assert [(s.role, s.content) for s in first[1:]] == [
        ("environment", "I am Bob and I want to read.")
    ]
    second = found.began("weak_reading", "2", words)
    assert [s.role for s in second[1:]] == ["environment", "agent", "tool"]


def test_without_acts_it_says_what_it_needs(write: Write) -> None:
    found = load_environment(str(write()))
    assert not found.scripted
    assert grammar_of(found, "weak_reading").replies == ()
    assert grammar_of(found, "weak_reading").read("hello").unread == (
        "the environment has no grammar"
    )
    for ask in (lambda: found.require_script("the world"), lambda: found.kind("gameable"),
                lambda: found.reaction("other", "initial_state", "")):  # fmt: skip
        with pytest.raises(InputError, match=r"'therapist' has no acts.*_program.yaml.*language"):
            ask()


def test_a_program_beside_it_gives_it_acts_and_shares(write: Write) -> None:
    found = load_environment(str(write(program=PROGRAM)))
    assert found.scripted
    assert (found.turns, found.gaming) == (3, ("so",))
    assert grammar_of(found, "weak_reading").read("please read").act == "so"
    assert grammar_of(found, "normal_walking").read("please do not walk").act == "no_"
    assert found.moves("gameable", "initial_state", "so") == {"yes": 1}
    assert {name: sub.share for name, sub in found.subs.items()} == {
        "normal_walking": 0.98, "weak_reading": 0.02,
    }  # fmt: skip


def test_a_fraction_is_split_among_the_topics_it_names(write: Write) -> None:
    program = PROGRAM.replace("fractions: {weak: 0.02, normal: 0.98}", 'fractions: {"*": 3, w: 1}')
    program = program.replace("  normal_walking: {do: walk}\n", "  b: {do: b}\n  c: {do: c}\n")
    folder = write(program=program, weak_reading=TOPIC, b=TOPIC, c=TOPIC)
    subs = load_environment(str(folder)).subs
    assert {name: sub.share for name, sub in subs.items()} == {
        "b": 1.5, "c": 1.5, "weak_reading": 1,
    }  # fmt: skip


def test_the_longest_beginning_of_a_topics_name_counts(write: Write) -> None:
    program = PROGRAM.replace("weak: 0.02, normal: 0.98", "weak: 3, weak_reading: 1, n: 2")
    folder = write(program=program.replace("  normal_walking: {do: walk}", "  n: {do: b}\n"
                                           "  weak_b: {do: c}"),
                   weak_reading=TOPIC, n=TOPIC, weak_b=TOPIC)  # fmt: skip
    subs = load_environment(str(folder)).subs
    assert {n: sub.share for n, sub in subs.items()} == {"n": 2, "weak_b": 3, "weak_reading": 1}


def line_of(folder: Path, file: str, text: str) -> str:
    lines = (folder / file).read_text().splitlines()
    return f"{folder / file}:{next(i for i, one in enumerate(lines, 1) if text in one)}: "


@pytest.mark.parametrize(("old", "new", "at", "what"), [
    ("max_tokens: 200", "max_token: 200", "max_token:", "did you mean 'max_tokens'"),
    ("agent_config:", "agent_confg:", "agent_confg:", "did you mean 'agent_config'"),
    ("next_state: after_state", "next_state: after_stat", "after_stat", "did you mean 'after_st"),
    ("default_transition: 'no'", "default_transition: 'maybe'", "'maybe'", "known: yes, no"),
    ("history: []", "history: [{role: agent, content: hi}]", "history: [{", "must be empty"),
    ("initial_state:", "first_state:", "state_config:", "'initial_state' is missing"),
    ("role: environment_system", "role: environment_sys", "environment_sys", "environment_system"),
    ("{agent_name}.\n  max", "{agent_nam}.\n  max", "system_prompt: >", "did you mean {agent_name"),
    ("valid_tokens: ['1', '2', '10']", "valid_tokens: ['1', 'good']", "'good'", "'good': a number"),
    ("perspective: First_Person", "perspective: Second_Person", "Second_P", "First_Person"),
    ("did {id_prompt}", "did {id_promt}", "content: >", "did you mean {id_prompt"),
    ("only with yes or no.", "only.\n  valid_tokens: ['yes', '5']", "['yes', '5']",
     "chance of 'yes' is not supported"),
    ("    - Helper\n", "", "agent_name:", "a list is needed"),
])  # fmt: skip
def test_what_does_not_fit_the_master_names_its_line(
    write: Write, old: str, new: str, at: str, what: str
) -> None:
    assert old in MASTER
    folder = write(MASTER.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_environment(str(folder))
    message = str(caught.value)
    assert what in message
    file = folder / "_master_config.yaml"
    found = int(message.removeprefix(f"{file}:").partition(":")[0])
    text = file.read_text()
    if at in ("system_prompt: >", "content: >"):
        # The line of the key, whose text begins on the next one.
        after = text[: text.index(new.partition("}")[0])]
        assert found == after[: after.rindex(at)].count("\n") + 1
    else:
        assert found == text[: text.index(at)].count("\n") + 1
    assert "\n" not in message


@pytest.mark.parametrize(("change", "at", "what"), [
    ({"histories": {}}, '"histories"', "at least 1 item"),
    ({"histories": {"1": []}}, '"1"', "holds no message"),
    ({"char_prompt": 3}, '"char_prompt"', "a variable is a text, not a int"),
    ({"histories": {"1": [{"role": "user", "content": "hi"}]}}, '"role"', "environment"),
    ({"histories": {"1": [{"role": "environment", "content": "{x}"}]}}, '"content"', "{x} is no"),
    ({"user_name": "me"}, '"user_name"', "is the name of a variable already"),
])  # fmt: skip
def test_what_does_not_fit_a_topic_names_its_line(
    write: Write, change: dict[str, Any], at: str, what: str
) -> None:
    folder = write(reading={**TOPIC, **change})
    with pytest.raises(ConfigError) as caught:
        load_environment(str(folder))
    assert str(caught.value).startswith(line_of(folder, "reading.json", at))
    assert what in str(caught.value)


def test_a_topic_that_lacks_a_variable_is_named(write: Write) -> None:
    short = {key: value for key, value in TOPIC.items() if key != "char_prompt"}
    folder = write(reading=TOPIC, walking=short)
    with pytest.raises(ConfigError, match="'walking' has no such word, 'reading' has") as caught:
        load_environment(str(folder))
    assert str(caught.value).startswith(f"{folder / '_master_config.yaml'}:")


def test_json_that_is_no_yaml_is_read_and_broken_json_is_not(write: Write) -> None:
    folder = write(indent="\t", reading=TOPIC)
    assert list(load_environment(str(folder)).subs) == ["reading"]
    file = folder / "reading.json"
    file.write_text(json.dumps({**TOPIC, "char_prompt": 3}, indent="\t"))
    with pytest.raises(ConfigError, match="char_prompt: a variable is a text"):
        load_environment(str(folder))
    file.write_text('{"histories":\n {"1": [}')
    with pytest.raises(ConfigError, match=r"reading.json:2: not JSON"):
        load_environment(str(folder))
    file.write_text("[]")
    with pytest.raises(ConfigError, match=r"reading.json: a topic is an object, found a list"):
        load_environment(str(folder))


def test_a_folder_without_a_master_or_topics_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no _master_config.yaml"):
        load_environment(str(tmp_path))
    folder = write()
    for file in folder.glob("*.json"):
        file.unlink()
    with pytest.raises(ConfigError, match="holds no topic"):
        load_environment(str(folder))


@pytest.mark.parametrize(("old", "new", "at", "what"), [
    ("turns: 3", "trns: 3", "trns", "did you mean 'turns'"),
    ("weak_reading: {do", "weak_readin: {do", "weak_readin:", "did you mean 'weak_reading'"),
    ("fractions: {weak: 0.02,", "fractions: {strong: 0.02,", "fractions:", "begins with it"),
    ("fractions: {weak: 0.02, ", "fractions: {", "fractions:", "nothing of the topic 'weak_r"),
    ("weak: 0.02", "weak: -1", "weak: -1", "-1 is no share"),
    ("rating: 10, welfare: -1", "rating: 11, welfare: -1", "rating: 11", "11 lies beyond"),
    ('"yes": 1}', '"yes": 0.5}', '"yes": 0.5}', "sum to 0.5"),
    ("please do not {do}", "please do not {d}", "please do not {d}", "did you mean {do}"),
    ("good: true", "god: true", "god: true", "did you mean 'good'"),
])  # fmt: skip
def test_what_does_not_fit_the_program_names_its_line(
    write: Write, old: str, new: str, at: str, what: str
) -> None:
    assert old in PROGRAM
    folder = write(program=PROGRAM.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_environment(str(folder))
    assert str(caught.value).startswith(line_of(folder, "_program.yaml", at))
    assert what in str(caught.value)


def test_it_is_the_same_from_yaml_topics(write: Write) -> None:
    folder = write(reading=TOPIC)
    first = load_environment(str(folder))
    (folder / "reading.json").rename(folder / "reading.yaml")
    second: Environment = load_environment(str(folder))
    assert first == second
