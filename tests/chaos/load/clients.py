"""The processes of the load, as one thing to start, drain and stop."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness.tools import java_command

HERE = Path(__file__).parent.parent


class Program:
    """One process that says `up`, and answers each line on its standard input with one."""

    def __init__(self, name, command, folder):
        self.name, self.answers = name, queue.Queue()
        self.log = open(Path(folder) / f"{name}.log", "wb")
        self.process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            word = line.strip().decode(errors="replace")
            if word in ("up", "drained"):
                self.answers.put(word)
            else:
                self.log.write(line)
                self.log.flush()

    def drain(self):
        """Asks it to stop producing."""
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"drain\n")
            self.process.stdin.flush()

    def says(self, word, timeout):
        """Whether it says this within the time."""
        end = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                return self.answers.get(timeout=1) == word
        return False

    def stop(self, timeout=60):
        """Ends it; returns what is wrong with how it ended."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"{self.name} did not end"
        return f"{self.name} ended with {code}" if code else ""


class Load:
    """librdkafka, the Java client and our own against one topic. Journals are written to `folder`."""

    def __init__(self, bootstrap, topic, partitions, folder, plain_acks):
        self.folder, self.programs = Path(folder), []
        arguments = [bootstrap, topic, str(partitions)]
        commands = {
            "librdkafka": [sys.executable, "-m", "load.librdkafka"],
            "java": java_command("ChaosLoad", classes=os.environ["OTTLA_CHAOS_JAVA"]),
            "ottla": [os.environ["OTTLA_CHAOS_LOAD"]],
        }
        for name, command in commands.items():
            journal = str(self.folder / f"{name}.jsonl")
            more = [plain_acks] if name == "librdkafka" else []
            self.programs.append(Program(name, [*command, *arguments, journal, *more], folder))

    def not_up(self, timeout):
        """Programs that got nothing acknowledged in time."""
        return [item.name for item in self.programs if not item.says("up", timeout)]

    def dead(self):
        """Programs that ended before they were told to."""
        return [item.name for item in self.programs if item.process.poll() is not None]

    def drain(self, timeout):
        """Stops all producers; returns the programs whose producers did not end in time."""
        for item in self.programs:
            item.drain()
        return [item.name for item in self.programs if not item.says("drained", timeout)]

    def stop(self):
        """Ends all; returns what went wrong."""
        return [text for text in [item.stop() for item in self.programs] if text]
