"""A Slurm of one node on this machine, for tests: started in a folder, gone afterwards."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def missing_tools() -> list[str]:
    """Programs of Slurm that are not here; as Debian's slurmctld, slurmd, slurm-client, munge."""
    return [tool for tool in TOOLS if shutil.which(tool, path=_SBIN) is None]


@contextlib.contextmanager
def slurm_node(cpus: int = 4) -> Iterator[dict[str, str]]:
    """Start munge, a controller and a node; give the environment in which its commands work.

    Everything is in a fresh folder with a short path, as sockets need one. No cgroups, no
    accounting, processes told apart by their group: it runs as root in a container.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("state", "spool", "log"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    control, node = _free_ports()
    config = folder / "slurm.conf"
    config.write_text(_config(folder, cpus, control, node))
    env = os.environ | {"PATH": _SBIN, "SLURM_CONF": str(config)}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _start(daemons, env, folder, "munged", "--foreground", "--force", f"--key-file={key}",
               f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
               f"--log-file={folder}/log/munged", f"--seed-file={folder}/munge.seed")  # fmt: skip
        _wait(lambda: (folder / "munge.socket").exists(), folder)
        _start(daemons, env, folder, "slurmctld", "-D", "-f", str(config))
        _start(daemons, env, folder, "slurmd", "-D", "-f", str(config), "-N", "n1")
        _wait(lambda: _state(env) == "idle", folder)
        yield env
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(["scancel", "--state=RUNNING", f"--user={getpass.getuser()}"], env=env,
                           capture_output=True, timeout=20, check=False)  # fmt: skip
            _settle(env)
        for daemon in reversed(daemons):
            _stop(daemon)
        shutil.rmtree(folder, ignore_errors=True)


def jobs(env: dict[str, str]) -> list[str]:
    """Numbers of the jobs that run, the oldest first."""
    found = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%i"],
        env=env, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return sorted(found.stdout.split(), key=int)


def _config(folder: Path, cpus: int, control: int, node: int) -> str:
    user, host = getpass.getuser(), socket.gethostname()
    return f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={control}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=n1 Default=YES MaxTime=60 State=UP
"""


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])


def _start(
    daemons: list[subprocess.Popen[bytes]], env: dict[str, str], folder: Path, *command: str
) -> None:
    program = shutil.which(command[0], path=_SBIN)
    assert program is not None
    with (folder / "log" / f"{command[0]}.out").open("wb") as out:
        # A session of its own: what it starts can be ended with it.
        daemon = subprocess.Popen(
            [program, *command[1:]],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    daemons.append(daemon)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.wait(timeout=10)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()


def _state(env: dict[str, str]) -> str:
    found = subprocess.run(["sinfo", "--noheader", "--format=%t"], env=env, capture_output=True,
                           text=True, timeout=30, check=False)  # fmt: skip
    return found.stdout.strip()


def _settle(env: dict[str, str]) -> None:
    """Wait until cancelled jobs have gone: their processes are not children of the daemons."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        left = subprocess.run(["squeue", "--noheader"], env=env, capture_output=True, text=True,
                              timeout=20, check=False)  # fmt: skip
        if not left.stdout.strip():
            return
        time.sleep(0.3)


def _wait(ready: object, folder: Path, seconds: float = 60) -> None:
    assert callable(ready)
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            told = "\n".join(
                f"== {log.name}\n{log.read_text(errors='replace')[-2000:]}"
                for log in sorted((folder / "log").iterdir())
            )
            raise RuntimeError(f"Slurm did not start\n{told}")
        time.sleep(0.2)
