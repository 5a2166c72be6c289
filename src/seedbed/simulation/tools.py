"""Tools that are really run: arguments checked by type, failures at known rates, all recorded.

What a call did is what its record says; whether an agent tells the truth is held against that.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, create_model

from seedbed.core.config import first_problem
from seedbed.core.errors import ConfigError
from seedbed.core.seeds import derive
from seedbed.core.transcripts import ToolCall
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import Call
from seedbed.worlds.users.parts import Argument, Tool

INJECTED = "injected"
Function = Callable[..., str]
"""Takes a tool's arguments by name and gives the result as text; an exception is a fault."""


class Registry:
    """The tools of an environment and what runs them.

    `functions` are by tool; a tool without one has no effect besides its record and answers with
    its `result`. Their annotations are the arguments' types, in place of the environment's.
    Raises ConfigError for a function of no tool and for arguments that do not fit the tool's.
    """

    def __init__(
        self, environment: Environment, functions: Mapping[str, Function] | None = None
    ) -> None:
        self.environment = environment
        self.functions = dict(functions or {})
        for name, function in self.functions.items():
            _check(environment, name, function)
        self.types = {name: self._type(name, tool) for name, tool in environment.tools.items()}

    def run(self, calls: Sequence[Call], seed: int, number: int) -> tuple[ToolCall, ...]:
        """Run the calls of one turn in order.

        Whether a call fails is drawn from the stream ("tool", turn, place) of the episode's seed,
        so neither other episodes nor other calls change it. Nothing is raised: unknown tools,
        unfit arguments, injected failures and exceptions are recorded as what they are.
        """
        return tuple(self._one(call, seed, number, place) for place, call in enumerate(calls))

    def _one(self, call: Call, seed: int, number: int, place: int) -> ToolCall:
        tool = self.environment.tools.get(call.tool)
        given: dict[str, Any] = dict(call.arguments)
        if tool is None:
            near = get_close_matches(call.tool, self.environment.tools, n=1)
            known = ", ".join(self.environment.tools) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"known: {known}"
            return _record(call.tool, given, fault=f"no tool {call.tool!r}; {hint}")
        kind = self.types[call.tool]
        try:
            arguments = kind.model_validate(given).model_dump()
        except ValidationError as error:
            return _record(call.tool, given, fault=first_problem(error, kind))
        words = {name: str(value) for name, value in arguments.items()}
        if tool.fails and derive(seed, "tool", number, place) / 2**63 < tool.fails:
            return _record(call.tool, arguments, fill(tool.failure, words), INJECTED)
        function = self.functions.get(call.tool)
        if function is None:
            return _record(call.tool, arguments, fill(tool.result, words))
        try:
            result = function(**arguments)
        # A tool is foreign code: whatever it raises is the outcome of the call.
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            return _record(call.tool, arguments, fill(tool.failure, words), fault)
        return _record(call.tool, arguments, result)

    def _type(self, name: str, tool: Tool) -> type[BaseModel]:
        if name in self.functions:
            hints = get_type_hints(self.functions[name], include_extras=True)
            fields = {argument: (hints[argument], ...) for argument in tool.arguments}
        else:
            fields = {key: (_annotation(one), ...) for key, one in tool.arguments.items()}
        made: type[BaseModel] = create_model(  # type: ignore[call-overload]  # fields by name
            name, __config__=ConfigDict(extra="forbid"), **fields
        )
        return made


def _check(environment: Environment, name: str, function: Function) -> None:
    if name not in environment.tools:
        known = ", ".join(environment.tools) or "none"
        raise ConfigError(f"environment {environment.name!r}: no tool {name!r}; known: {known}")
    hints = {key for key in get_type_hints(function) if key != "return"}
    wanted = set(environment.tools[name].arguments)
    if hints != wanted:
        raise ConfigError(
            f"environment {environment.name!r}, tool {name!r}: takes {sorted(wanted)}, but its"
            f" function annotates {sorted(hints)}"
        )


def _annotation(argument: Argument) -> Any:
    def fits(value: str) -> str:
        if problem := argument.problem(value):
            raise ValueError(problem)
        return value

    return int if argument.type == "integer" else Annotated[str, AfterValidator(fits)]


def _record(tool: str, arguments: dict[str, Any], result: str = "", fault: str = "") -> ToolCall:
    said = result or fault
    return ToolCall(tool=tool, arguments=arguments, ok=not fault, result=said, fault=fault)
