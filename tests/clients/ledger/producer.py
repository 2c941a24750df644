"""A producer with a memory: librdkafka in a thread, sending numbered records until it is told to stop."""

import threading
import time

from confluent_kafka import KafkaException, Producer


class LedgerProducer:
    """Sends `sender:number` to the partitions in turn and keeps what was acknowledged, and when."""

    def __init__(self, bootstrap, topic, partitions, sender="s", **settings):
        self.topic, self.partitions, self.sender = topic, partitions, sender
        self.size, self.pause = settings.pop("size", 200), settings.pop("pause", 0.0005)
        self.acknowledged = {index: {} for index in range(partitions)}
        self.failed, self.sent = [], 0
        self.last_ack = {index: None for index in range(partitions)}
        self.longest_gap = {index: 0.0 for index in range(partitions)}
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 1,
                "delivery.timeout.ms": 120_000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 200,
                "queue.buffering.max.messages": 20_000,
                "log_level": 0,
                **settings,
            }
        )
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begins to send."""
        self.thread.start()
        return self

    def _run(self):
        padding = b"." * self.size
        while not self.stopping.is_set():
            number = self.sent
            value = b"%s:%d:%s" % (self.sender.encode(), number, padding)
            try:
                self.producer.produce(self.topic, value, partition=number % self.partitions, on_delivery=self._done(number))
                self.sent += 1
                self.producer.poll(0)
            except BufferError:
                self.producer.poll(0.05)
            if self.pause:
                time.sleep(self.pause)

    def _done(self, number):
        def on_delivery(error, message):
            if error is not None:
                self.failed.append((number, error))
                return
            partition, now = message.partition(), time.monotonic()
            self.acknowledged[partition][number] = message.offset()
            if self.last_ack[partition] is not None:
                self.longest_gap[partition] = max(self.longest_gap[partition], now - self.last_ack[partition])
            self.last_ack[partition] = now

        return on_delivery

    @property
    def acknowledged_count(self):
        """How many records were acknowledged so far."""
        return sum(len(numbers) for numbers in self.acknowledged.values())

    def finish(self, timeout=60):
        """Stops sending and waits for what is under way; returns how many were left without an answer."""
        self.stopping.set()
        self.thread.join()
        try:
            return self.producer.flush(timeout)
        except KafkaException as error:
            raise AssertionError(f"the producer gave up: {error}") from error
