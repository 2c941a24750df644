"""Kafka's own command line tools, kcat, and the small Go and Java programs, as subprocesses."""

import os
import subprocess
from pathlib import Path

from .schema import libs_dir

_CLASSES = {
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "replica-verification": "org.apache.kafka.tools.ReplicaVerificationTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}
_LOG4J = Path(__file__).parent.parent / "java" / "log4j2.xml"


class ToolFailed(AssertionError):
    """A tool ended with an error; the text is all it printed."""


def java_command(main, *arguments, classes=None):
    """A Java command line: quick to start, little memory."""
    path = f"{libs_dir()}/*"
    if classes:
        path = f"{classes}:{path}"
    options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    return ["java", *options, f"-Dlog4j2.configurationFile={_LOG4J}", "-cp", path, main, *map(str, arguments)]


def run(command, stdin=None, timeout=90, check=True):
    """Runs a command; returns its standard output and, when it failed and `check` is off, all of it."""
    done = subprocess.run(
        [str(item) for item in command],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    output, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        raise ToolFailed(f"{command[-1]}: exit {done.returncode}\n{output}\n{errors}")
    return output if check else (done.returncode, output + errors)


class KafkaTools:
    """Kafka's tools against one broker: `tools("topics", "--list")`."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def command(self, tool, *arguments):
        """The command line of a tool, with the bootstrap server where it takes one."""
        servers = ["--bootstrap-server", self.bootstrap]
        if tool in ("dump-log", "producer-perf-test"):
            servers = []
        if tool == "replica-verification":
            servers = ["--broker-list", self.bootstrap]
        return java_command(_CLASSES[tool], *servers, *arguments)

    def __call__(self, tool, *arguments, stdin=None, timeout=90, check=True):
        if tool in ("cluster", "features", "metadata-quorum"):
            return self._with_subcommand(tool, arguments, timeout, check)
        return run(self.command(tool, *arguments), stdin, timeout, check)

    def _with_subcommand(self, tool, arguments, timeout, check):
        if tool == "cluster":
            command = java_command(_CLASSES[tool], arguments[0], "--bootstrap-server", self.bootstrap, *arguments[1:])
        else:
            command = java_command(_CLASSES[tool], "--bootstrap-server", self.bootstrap, *arguments)
        return run(command, None, timeout, check)

    def popen(self, tool, *arguments):
        """Starts a tool that runs until it is told to stop."""
        return subprocess.Popen(
            self.command(tool, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def dump_log(*files, decode=False):
    """Kafka's dump-log with deep iteration; returns the lines, of which those with `isvalid: false` are wrong."""
    arguments = ["--deep-iteration", "--files", ",".join(str(item) for item in files)]
    if decode:
        arguments.append("--print-data-log")
    return run(java_command(_CLASSES["dump-log"], *arguments)).splitlines()


def kcat(bootstrap, *arguments, stdin=None, timeout=30, check=True):
    """kcat against a broker."""
    return run(["kcat", "-b", bootstrap, *arguments], stdin, timeout, check)


def go_program(name, *arguments, timeout=120, check=True):
    """One of the Go programs below tests/clients/go."""
    return run([Path(os.environ["OTTLA_TEST_GO"]) / name, *arguments], None, timeout, check)


def java_program(name, *arguments, timeout=180, check=True):
    """One of the Java programs below tests/clients/java."""
    command = java_command(name, *arguments, classes=os.environ["OTTLA_TEST_JAVA"])
    return run(command, None, timeout, check)
