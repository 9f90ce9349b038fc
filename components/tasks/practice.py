"""Text, and exercises made of it: what a small model needs in order to learn to look back.

A model of a quarter of a million parameters learns no needles from text alone, whatever its
attention. Exercises are made of training text; an evaluation makes its questions of held-out text,
which is never trained on.
"""

from components.registry import register
from components.tasks.exercised import ExercisedTask
from components.tasks.language import Language


@register("tasks", "practice")
class Practice(ExercisedTask, Language):
    """Next-token prediction on the text of `data`, and exercises: questions on other texts."""
