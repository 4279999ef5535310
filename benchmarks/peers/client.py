"""The other end of worker.py's pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import ROOT, Peer


class PeerError(Exception):
    """A runtime is not installed, refused a model, or died."""


class Worker:
    """One runtime in one process. log: file that takes what the runtime prints."""

    def __init__(self, peer: Peer, cpus, log):
        self.peer, self.cpus = peer, sorted(cpus)
        command = [peer.python, "-m", "benchmarks.peers.worker", peer.module, ",".join(map(str, self.cpus))]
        env = dict(os.environ, OMP_NUM_THREADS=str(len(self.cpus)))
        self._log = Path(log).open("w", encoding="utf-8")
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as error:
            self._log.close()
            raise PeerError(f"not installed: {error.strerror}: {command[0]}") from None
        try:
            self.version = self._reply(120)["version"]
        except PeerError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        if not self._log.closed:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._log.close()

    def load(self, key, model, feeds):
        """Prepares a model for as many threads as the worker has CPUs; returns its outputs {name: array}."""
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
            np.savez(inputs, **feeds)
            self._ask(
                600,
                do="load",
                key=key,
                model=str(model),
                inputs=str(inputs),
                outputs=str(outputs),
                threads=len(self.cpus),
            )
            with np.load(outputs) as file:
                return dict(file)

    def time(self, key, runs, clock="wall", warmup=1):
        """(milliseconds of each of `runs` inferences, CPU time of the process over wall time meanwhile)."""
        reply = self._ask(600, do="time", key=key, warmup=warmup, runs=runs, clock=clock)
        return reply["ms"], reply["busy"]

    def drop(self):
        self._ask(60, do="drop")

    def _ask(self, seconds, **request):
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise PeerError(self._how_it_ended()) from None
        return self._reply(seconds)

    def _reply(self, seconds):
        out = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            if not select.select([out], [], [], seconds)[0]:
                self._process.kill()
                raise PeerError(f"no answer within {seconds} s")
            data = os.read(out, 1 << 16)
            if not data:
                raise PeerError(self._how_it_ended())
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        reply = json.loads(line)
        if "error" in reply:
            raise PeerError(reply["error"])
        return reply

    def _how_it_ended(self):
        return f"its process ended with status {self._process.wait()}; see {self._log.name}"
