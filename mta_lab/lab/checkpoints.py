"""Bring in the trained models of others from which the runs of a plan start."""

from mta_lab import lab
from mta_lab.config import identified_by
from mta_lab.lab.extras import check_extra
from mta_lab.lab.plan import Plan


def bring_in(plan: Plan) -> None:
    """Write the weights of checkpoints as those of a finished run, where they are not there yet.

    A checkpoint whose folder is not here is left out.

    Raises:
        UserError: the extra `hf` is not installed, or a folder holds another model.
    """
    rows = [row.config for row in plan.sweep.staged.rows]
    for config in {config.init: config for config in rows}.values():
        folder, weights = config.init.folder, plan.records.weights(identified_by(config.init))
        if folder and folder.exists() and not weights.exists():
            check_extra("hf", f"init.checkpoint={folder}")
            plan.display.say(f"reading the weights in {folder}")
            lab.reading.import_weights(folder, weights, config)
