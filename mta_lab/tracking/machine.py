"""Sample the load of the machine during a launch, by MLflow's own monitor.

It is the load of the whole machine: a launch trains in worker processes, and its own process only
waits and writes.
"""

from contextlib import suppress

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


def watched(run_id: str) -> SystemMetricsMonitor | None:
    """Return a monitor that writes the load of processor, memory, disk and network to a run.

    It works in its own thread until its `finish` is called or MLflow fails. None on a machine that
    cannot be sampled.
    """
    with suppress(Exception):  # no lack of the system may end the launch
        monitor = SystemMetricsMonitor(run_id)
        monitor.start()
        return monitor
    return None
