"""The contract that tasks, models and kinds keep, as functions: what our own tests run, for authors of plugins too.

Each function raises AssertionError with everything that is wrong, in words. Use them in a test of your own:

    from rung.testing import check_kind, check_model, check_task, plugin

    def test_my_task():
        check_task("my_task")
        check_model("my_model")
"""

from rung.testing.kinds import check_kind
from rung.testing.models import check_model
from rung.testing.plugins import plugin
from rung.testing.samples import tiny_examples
from rung.testing.tasks import check_task

__all__ = ["check_kind", "check_model", "check_task", "plugin", "tiny_examples"]
