"""Debian's Slurm on pretended hosts: the controller on the first, a node on each other one.

Configuration, key, sockets, state and logs lie in the first host's folder; nothing of a Slurm that
is set up on this machine is read, started or stopped.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.cluster import wait_until
from tests.real.hosts import AS_ROOT, WITH_TOOLS, Host, hosts
from tests.real.test_dashboard import environment

NODES = 3
CORES = 4  # of each node, as Slurm is told; they are this machine's
PACKAGES = "munge slurm-client slurmctld slurmd"
SEARCHED = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
MISSING = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name, path=SEARCHED)]
INSTALL = f"apt-get install --no-install-recommends {PACKAGES}"
WITH_SLURM = pytest.mark.skipif(bool(MISSING), reason=f"Slurm is missing ({', '.join(MISSING)}): {INSTALL}")
NEEDED = [AS_ROOT, WITH_TOOLS, WITH_SLURM]

# No accounting, so no `sacct`, as on many small clusters.
CONFIGURATION = """
ClusterName=pretended
SlurmctldHost={head.name}({head.address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=15
KillWait=10
GresTypes=gpu
"""
NODE = "NodeName={node.name} NodeAddr={node.address} CPUs={cores} Gres=gpu:2\n"
PARTITIONS = """
PartitionName=gpu Nodes={names} Default=YES
"""
GPUS = "NodeName={names} Name=gpu File=/dev/tty[0-1]\n"  # no GPUs, but Slurm hands them out as such


@dataclass(frozen=True)
class Slurm:
    """A running Slurm."""

    head: Host
    nodes: Sequence[Host]

    @property
    def folder(self) -> Path:
        return self.head.folder / "slurm"

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of those who use it."""
        return {**environment(), "SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *words: str) -> str:
        """Return what a command of Slurm prints on the first host."""
        done = subprocess.run(
            self.head.command(*words), env=self.environment, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def jobs(self) -> list[tuple[str, str, str]]:
        """Return the jobs that wait or run: name (`12_3` in an array), state, node."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i|%T|%N").splitlines()
        return [(name, state, node) for name, state, node in (line.split("|") for line in lines)]

    def start_node(self, node: Host) -> None:
        self.start(node, "slurmd", "-D", "-N", node.name)

    def mend(self) -> None:
        """Start nodes that are down, and wait until all are idle."""
        for node in self.nodes:
            if not node.processes():
                self.start_node(node)
        self.wait_until_idle()

    def start(self, host: Host, program: str, *options: str) -> None:
        """Start one of Slurm's services on a host; it ends with the host."""
        command = host.command(shutil.which(program, path=SEARCHED) or program, *options)
        with (self.folder / f"{program}-{host.name}.out").open("ab") as out:
            subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def configure(self) -> None:
        names = ",".join(node.name for node in self.nodes)
        lines = [NODE.format(node=node, cores=CORES) for node in self.nodes]
        text = CONFIGURATION.format(head=self.head, folder=self.folder)
        self.folder.mkdir(mode=0o755)
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text("".join([text, *lines, PARTITIONS.format(names=names)]))
        (self.folder / "gres.conf").write_text(GPUS.format(names=names))
        # It otherwise looks for cgroups of a kind that this machine may not have.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def start_munge(self) -> None:
        """Start what signs all messages; the hosts share its socket, as elsewhere its key."""
        key = self.folder / "munge.key"
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(os.urandom(128))
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        origin = f"--origin={self.head.address}"  # it else asks the network for its name
        places = [f"--{option}={self.folder}/munge.{name}" for option, name in files.items()]
        self.start(self.head, "munged", "--foreground", "--force", f"--key-file={key}", origin, *places)
        wait_until((self.folder / "munge.socket").exists, 60, "munge listens")

    def wait_until_idle(self) -> None:
        """Wait until the controller knows all nodes as idle."""
        asked = self.head.command("sinfo", "--noheader", "--Node", "--partition=gpu", "--format=%T")

        def idle() -> bool:
            said = subprocess.run(asked, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
            return said.stdout.split() == ["idle"] * len(self.nodes)

        wait_until(idle, 60, "all nodes are idle")


@contextmanager
def slurm(nodes: int = NODES) -> Iterator[Slurm]:
    """A running Slurm of so many nodes, which is gone at the end of the block with all its jobs."""
    with hosts(1 + nodes) as (head, *others):
        made = Slurm(head, others)
        made.configure()
        made.start_munge()
        made.start(head, "slurmctld", "-D")
        for node in others:
            made.start_node(node)
        made.wait_until_idle()
        yield made
