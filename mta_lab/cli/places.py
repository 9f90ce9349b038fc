"""Where things lie below the directory that a command is run in. Records choose their own place, MLflow too."""

from pathlib import Path

CORPORA = Path("data")
