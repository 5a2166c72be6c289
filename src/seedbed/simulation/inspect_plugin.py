"""What Inspect finds of seedbed by its entry point: the tasks and the model provider."""

from seedbed.simulation.inspect_model import seedbed
from seedbed.simulation.inspect_tasks import users

__all__ = ["seedbed", "users"]
