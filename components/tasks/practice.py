"""Text, and exercises made of it, so that a small model has occasion to learn to look back.

An MTA of the scale nano had learned no needles from text alone (docs/components.md). Exercises are
made of training text; an evaluation makes its questions of held-out text, which is not trained on.
"""

from components.registry import register
from components.tasks.exercised import ExercisedTask
from components.tasks.language import Language


@register("tasks", "practice")
class Practice(ExercisedTask, Language):
    """Next-token prediction on the text of `data`, and exercises: questions on other texts."""
