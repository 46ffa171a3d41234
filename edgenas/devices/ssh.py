"""A kit measured on a device that ssh reaches; the results file stays there until it is ingested, so all can go on.

The system's ssh does it, with the user's keys and configuration. The environment variable EDGENAS_SSH names another, or
adds options: `ssh -F file`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgenas.devices.runner import NOISY
from edgenas.errors import EnvironmentFault, NoisyMachine, UsageError
from edgenas.system.progress import ProgressCallback, Reporter
from edgenas.system.records import Json

VARIABLE = "EDGENAS_SSH"
# Sent as source, since nothing of edgenas is installed there.
REMOTE_CODE = Path(__file__).with_name("ssh_remote.py")
# The oldest that the kit's code is tested for; what boards of 2021 came with.
OLDEST_PYTHON = [3, 9]
# Exit codes: of ssh without a connection, and of a shell that cannot run or find a program.
BROKEN, NOT_FOUND = 255, (126, 127)
# Without a question each 15 s, a cable that is pulled goes unnoticed for hours.
OPTIONS = ("-T", "-o", "ServerAliveInterval=15")
# What `ProgressLine` and ssh_remote.py write.
PROGRESS = re.compile(r"(\d+) of (\d+) (?:rounds|MB)(?: \(\d+%\))?(?:, .*? left)? ?(.*)")


def silent(done: int, total: int, text: str = "") -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Remote:
    """A device: `host` as ssh takes it (`user@host`), and the name of its Python, relative to the home there.

    What its commands write to stderr goes to `reporter`.
    """

    host: str
    python: str
    reporter: Reporter

    def __post_init__(self) -> None:
        """Raise UsageError for a host that ssh would take for an option."""
        if not self.host or self.host.startswith("-"):
            raise UsageError(f"--ssh: {self.host!r} is not a host; give user@host, or a name of your ~/.ssh/config")

    def check(self) -> None:
        """Check that a kit can be measured there.

        Raises:
            EnvironmentFault: no connection, no Python, or what it lacks, with the command that installs it.
        """
        with tempfile.TemporaryFile() as out:
            code, words = self._python("check", out=out)
            out.seek(0)
            lines = out.read().decode(errors="replace").splitlines()
        if code in NOT_FOUND:
            raise EnvironmentFault(f"{self.host}: no {self.python} there; name Python 3.9 or later with --python")
        try:
            facts = json.loads(lines[-1])  # what a login script prints comes before
        except (IndexError, ValueError):
            raise EnvironmentFault(
                f"{self.host}: {self.python} fails there ({words or 'it is no Python'}); name another with --python"
            ) from None
        self._check_facts(facts)

    def copy(self, kit: Path, folder: str) -> None:
        """Unpack a kit on the device, unless it is there.

        Args:
            kit: the zip.
            folder: where to, relative to the home there.

        Raises:
            EnvironmentFault: no connection, or no room.
        """
        with self.reporter.stage(f"copy the kit to {self.host}") as progress, kit.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            code, words = self._python("unpack", folder, digest, str(kit.stat().st_size), stdin=file, progress=progress)
        if code:
            raise EnvironmentFault(f"{self.host}: {folder} cannot be written there ({words}); make room, or remove it")

    def measure(self, folder: str, results: Path, *, threads: int, name: str | None) -> None:
        """Run the kit in `folder` there, or go on with it, and bring its results back.

        Args:
            folder: where the kit was unpacked, relative to the home there.
            results: the file to write here.
            threads: of the runtime.
            name: of the device in tables; None lets the runner make one of the processor's.

        Raises:
            NoisyMachine: the device is too busy to time on.
            EnvironmentFault: the connection broke, or the runner failed.
        """
        there = f"{folder}/results-{name or 'device'}-{threads}t.jsonl"
        arguments = ["--threads", str(threads), "--out", there, *(["--name", name] if name else [])]
        with self.reporter.stage(f"measure on {self.host}") as progress:
            code, words = self._python("measure", folder, *arguments, progress=progress)
        if code and NOISY in words:
            raise NoisyMachine(f"{self.host}: {words}")
        if code:
            raise EnvironmentFault(f"{self.host}: {words or code}; to begin again, remove {folder} there")
        # The file stays there until `remove`: if this breaks off, the same command fetches it again.
        with results.open("wb") as out:
            code, words = self._run(f"cat {shlex.quote(there)}", out=out)
        if code:
            raise EnvironmentFault(f"{self.host}: {there} cannot be read there ({words}); start the same command again")

    def remove(self, folder: str) -> None:
        """Remove a folder there; nothing depends on it any more, so a failure is only reported."""
        try:
            code, words = self._run(f"rm -rf {shlex.quote(folder)}")
        except EnvironmentFault as error:
            code, words = BROKEN, str(error)
        if code:
            self._report(f"{folder} is left over there ({words})")

    def _check_facts(self, facts: Json) -> None:
        if facts["version"] < OLDEST_PYTHON:
            version = ".".join(map(str, facts["version"]))
            raise EnvironmentFault(
                f"{self.host}: {self.python} is Python {version}, 3.9 is needed; name another with --python"
            )
        if facts["missing"]:
            # A system's own Python often refuses pip, and should.
            make = f"'{self.python} -m venv venv && venv/bin/pip install numpy onnxruntime'"
            install = f"{self.python} -m pip install {' '.join(facts['missing'])}"
            how = install if facts["venv"] else f"{make}, then add --python venv/bin/python"
            raise EnvironmentFault(
                f"{self.host}: {self.python} lacks {' and '.join(facts['missing'])}; install: ssh {self.host} {how}"
            )

    def _python(
        self,
        *words: str,
        stdin: IO[bytes] | None = None,
        out: IO[bytes] | None = None,
        progress: ProgressCallback = silent,
    ) -> tuple[int, str]:
        """Run a function of ssh_remote.py there, and return what `_run` does."""
        python = re.sub("^~/", "./", self.python)  # a quoted ~ would be no home; commands start there anyway
        command = shlex.join([python, "-c", REMOTE_CODE.read_text(encoding="utf-8"), *words])
        return self._run(command, stdin=stdin, out=out, progress=progress)

    def _run(
        self,
        command: str,
        *,
        stdin: IO[bytes] | None = None,
        out: IO[bytes] | None = None,
        progress: ProgressCallback = silent,
    ) -> tuple[int, str]:
        """Run a shell command there; return its exit code and the last line of its stderr.

        The other lines are passed on as they come; the last line of a command that fails is for the error alone.

        Raises:
            EnvironmentFault: no connection, or it broke.
        """
        ssh = shlex.split(os.environ.get(VARIABLE) or "ssh")
        try:
            child = subprocess.Popen(
                [*ssh, *OPTIONS, "--", self.host, command],
                stdin=stdin or subprocess.DEVNULL,
                stdout=out or subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise EnvironmentFault(f"{ssh[0]}: {error.strerror}; install OpenSSH, or name it in {VARIABLE}") from error
        with child:
            try:
                words = self._listen(child, progress)
                code = child.wait()
            finally:
                child.kill()  # on Ctrl-C too: the runner there notices, and what it wrote stays
        if code == BROKEN or code < 0:
            raise EnvironmentFault(
                f"{self.host}: no connection ({words or 'it broke'}); once `ssh {self.host}` works, the same command "
                "goes on where it was"
            )
        if words and not code:
            self._report(words)
        return code, words

    def _listen(self, child: subprocess.Popen[str], progress: ProgressCallback) -> str:
        """Pass on progress to `progress`, other lines to the reporter; hold back the last of these, and return it."""
        assert child.stderr is not None
        last = ""
        for line in filter(None, map(str.strip, child.stderr)):
            if match := PROGRESS.fullmatch(line):
                progress(int(match[1]), int(match[2]), match[3])
            else:
                if last:
                    self._report(last)
                last = line.removeprefix("run.py: ")
        return last

    def _report(self, words: str) -> None:
        self.reporter.log(f"{self.host}: {words}")
