"""A study: a world, a subject, finders and seeds, run stage by stage."""

from seedbed.studies.run import run
from seedbed.studies.study import Study

__all__ = ["Study", "run"]
