"""librdkafka's part of the load: `python -m load.librdkafka BOOTSTRAP TOPIC PARTITIONS JOURNAL ACKS`.

It says `up` after the first acknowledgement. Standard input says when to end: a line `drain` ends the producers (answered with `drained`), its end ends the rest.
"""

import sys
import threading

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from .journal import Journal
from .observer import Observing

QUICK = {
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 5000,
    "socket.connection.setup.timeout.ms": 5000,
    "log_level": 0,
}
PADDING = "." * 100


class Producing(threading.Thread):
    """Sends numbered records to the partitions in turn; a producer that died is followed by a new one."""

    def __init__(self, job, name, settings, pause=0.02):
        super().__init__(name=name)
        self.job, self.pause = job, pause
        self.idempotent = settings["enable.idempotence"]
        self.settings = {"bootstrap.servers": job.bootstrap, "acks": "all", "linger.ms": 2, **QUICK, **settings}
        self.session = self.number = 0

    def run(self):
        while not self.job.draining.is_set():
            self._session()

    def _session(self):
        self.session += 1
        sender, broken = f"{self.name}.{self.session}", threading.Event()
        note = self.job.journal.note
        note(self.name, "open", sender=sender, idempotent=self.idempotent)
        settings = {**self.settings, "error_cb": lambda error: broken.set() if error.fatal() else None}
        producer = Producer(settings)
        number = 0
        while not self.job.draining.wait(self.pause) and not broken.is_set():
            partition = number % self.job.partitions
            note(self.name, "send", s=sender, n=number, p=partition)
            try:
                producer.produce(
                    self.job.topic, f"{sender}:{number}:{PADDING}", partition=partition, on_delivery=self._done(sender, number, partition)
                )
            except (BufferError, KafkaException) as error:
                note(self.name, "fail", s=sender, n=number, p=partition, e=str(error))
            number += 1
            producer.poll(0)
        if not broken.is_set():
            producer.flush(150)
        producer.purge()
        producer.flush(5)

    def _done(self, sender, number, partition):
        note = self.job.journal.note

        def on_delivery(error, message):
            if error is None:
                # No offset: the broker had the record already and did not say where.
                offset = -1 if message.offset() is None else message.offset()
                note(self.name, "ack", s=sender, n=number, p=partition, o=offset)
                if not self.job.up.is_set():
                    self.job.up.set()
                    print("up", flush=True)
            else:
                note(self.name, "unknown", s=sender, n=number, p=partition, e=error.name())

        return on_delivery


class Consuming(threading.Thread):
    """A member of a group, or a reader of everything from the beginning when `group` is none."""

    def __init__(self, job, name, group=None):
        super().__init__(name=name)
        self.job, self.group = job, group
        self.consumer = Consumer(
            {
                "bootstrap.servers": job.bootstrap,
                "group.id": group or f"none-{name}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 8000,
                "heartbeat.interval.ms": 1000,
                "fetch.wait.max.ms": 200,
                **QUICK,
            }
        )
        self.positions = {}

    def run(self):
        note = self.job.journal.note
        if self.group:
            note(self.name, "member", group=self.group)
            self.consumer.subscribe([self.job.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        else:
            parts = [TopicPartition(self.job.topic, index, OFFSET_BEGINNING) for index in range(self.job.partitions)]
            self.consumer.assign(parts)
            note(self.name, "assigned", p=list(range(self.job.partitions)))
        turn = 0
        while not self.job.stopping.is_set():
            self._poll()
            turn += 1
            if self.group and turn % 4 == 0:
                self._commit()
        self.consumer.close()

    def _poll(self):
        rows = {}
        for message in self.consumer.consume(200, 0.25):
            if message.error() is not None:
                self.job.journal.note(self.name, "trouble", e=message.error().name())
                continue
            value = message.value().rsplit(b":", 1)[0].decode()
            rows.setdefault(message.partition(), []).append([message.offset(), value])
        for partition, records in rows.items():
            self.job.journal.note(self.name, "poll", p=partition, r=records)
            self.positions[partition] = records[-1][0] + 1

    def _commit(self):
        if not self.positions:
            return
        offsets = dict(self.positions)
        self.positions.clear()
        note = self.job.journal.note
        note(self.name, "commit", group=self.group, at=offsets)
        try:
            parts = [TopicPartition(self.job.topic, partition, offset) for partition, offset in offsets.items()]
            done = self.consumer.commit(offsets=parts, asynchronous=False)
            good = {part.partition: part.offset for part in done if part.error is None}
            note(self.name, "committed", group=self.group, at=good)
        except KafkaException as error:
            note(self.name, "commit-failed", group=self.group, at=offsets, e=error.args[0].name())

    def _assigned(self, consumer, parts):
        self.job.journal.note(self.name, "assigned", group=self.group, p=[part.partition for part in parts])

    def _revoked(self, consumer, parts):
        self._commit()
        self.job.journal.note(self.name, "revoked", group=self.group, p=[part.partition for part in parts])

    def _lost(self, consumer, parts):
        self.positions.clear()
        self.job.journal.note(self.name, "revoked", group=self.group, p=[part.partition for part in parts], lost=True)


class Job:
    """What the threads share."""

    def __init__(self, bootstrap, topic, partitions, journal):
        self.bootstrap, self.topic, self.partitions = bootstrap, topic, partitions
        self.journal = journal
        self.up, self.draining, self.stopping = threading.Event(), threading.Event(), threading.Event()


def main():
    """Runs until standard input ends."""
    bootstrap, topic, partitions, path, plain_acks = sys.argv[1:]
    job = Job(bootstrap, topic, int(partitions), Journal(path))
    producers = [
        Producing(job, "rd-idempotent", {"enable.idempotence": True, "message.timeout.ms": 120_000}),
        Producing(job, "rd-plain", {"enable.idempotence": False, "message.timeout.ms": 15_000, "acks": plain_acks}),
    ]
    consumers = [Consuming(job, "rd-member-1", "rd"), Consuming(job, "rd-member-2", "rd"), Consuming(job, "rd-reader")]
    observer = Observing(job)
    for thread in [*producers, *consumers, observer]:
        thread.start()
    for line in sys.stdin:
        if line.strip() == "drain":
            job.draining.set()
            for thread in producers:
                thread.join()
            print("drained", flush=True)
    job.draining.set()
    job.stopping.set()
    for thread in [*producers, *consumers, observer]:
        thread.join()
    job.journal.close()


if __name__ == "__main__":
    main()
