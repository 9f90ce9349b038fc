"""Runs a sweep: a launch hands cells to warm worker processes and records what comes back."""

from mta_lab.worker.launch import Observer, Task, launch, missing, tasks_of

__all__ = ["Observer", "Task", "launch", "missing", "tasks_of"]
