"""Curves as CSV, a file a run: `results/curves/FINGERPRINT.csv`."""

import csv
from pathlib import Path

from mta_lab.launch.events import Event, RunProgressed, RunStarted
from mta_lab.launch.outlook import Outlook

FOLDER = "curves"
HEADER = ("sweep", "row", "seed", "step", "name", "value")


class Tracker:
    """Appends a line for each number of a run; an attempt tells its run from the start."""

    def __init__(self, sweep: str, directory: Path) -> None:
        self._sweep, self._folder = sweep, directory / FOLDER

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Write down the numbers of a run's progress."""
        match event:
            case RunStarted():
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._file(event).open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerow(HEADER)
            case RunProgressed(run=run, progress=progress):
                with self._file(event).open("a", newline="", encoding="utf-8") as file:
                    lines = (
                        (self._sweep, run.row, run.seed, progress.step, *point) for point in progress.points.items()
                    )
                    csv.writer(file).writerows(lines)

    def _file(self, event: RunStarted | RunProgressed) -> Path:
        return self._folder / f"{event.run.fingerprint}.csv"
