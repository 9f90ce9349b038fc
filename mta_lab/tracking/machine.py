"""The load of the machine while a launch runs, as MLflow's own monitor samples it.

That is the whole machine: a launch trains in worker processes, and its own process only waits and writes.
"""

from contextlib import suppress

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


def watched(run_id: str) -> SystemMetricsMonitor | None:
    """Return a monitor that writes processor, memory, disk and network use to the run until it is told to `finish`.

    It has a thread of its own, which ends by itself where MLflow fails. None on a machine that tells nothing.
    """
    with suppress(Exception):  # whatever a system lacks, the launch's run is there without it
        monitor = SystemMetricsMonitor(run_id)
        monitor.start()
        return monitor
    return None
