import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client's part of the load of tests/chaos: {@code ChaosLoad BOOTSTRAP TOPIC PARTITIONS JOURNAL}.
 *
 * <p>An idempotent producer, two members of a classic group and two of a KIP-848 group note what they do and see, one
 * JSON object a line. {@code up} is said after the first acknowledgement. A line on standard input ends the producer
 * (answered with {@code drained}), its end ends the rest.
 */
public final class ChaosLoad {
    private static final String PADDING = ".".repeat(100);

    private final String bootstrap;
    private final String topic;
    private final int partitions;
    private final PrintWriter journal;
    private volatile boolean draining;
    private volatile boolean stopping;
    private final AtomicBoolean up = new AtomicBoolean();

    private ChaosLoad(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = arguments[1];
        partitions = Integer.parseInt(arguments[2]);
        journal = new PrintWriter(Files.newBufferedWriter(Path.of(arguments[3]), StandardCharsets.UTF_8));
    }

    /** Runs until standard input ends. */
    public static void main(String[] arguments) throws Exception {
        new ChaosLoad(arguments).run();
    }

    private void run() throws Exception {
        Thread producer = start(this::produce);
        List<Thread> members = new ArrayList<>();
        for (String protocol : List.of("classic", "consumer")) {
            for (int i = 1; i <= 2; i++) {
                String name = "java-" + protocol + "-" + i;
                members.add(start(() -> new Member(name, "java-" + protocol, protocol).run()));
            }
        }
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (input.readLine() != null) {
            draining = true;
            producer.join();
            System.out.println("drained");
        }
        draining = true;
        stopping = true;
        producer.join();
        for (Thread member : members) {
            member.join();
        }
        journal.close();
    }

    private static Thread start(Runnable work) {
        Thread thread = new Thread(work);
        thread.start();
        return thread;
    }

    private void note(String client, String op, String fields) {
        String time = String.format("%.4f", System.currentTimeMillis() / 1000.0);
        synchronized (journal) {
            journal.println("{\"t\":" + time + ",\"client\":\"" + client + "\",\"op\":\"" + op + "\"" + fields + "}");
        }
    }

    private static String error(Exception error) {
        return ",\"e\":\"" + error.toString().replaceAll("[\"\\\\\\n\\t]", " ") + "\"";
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private void produce() {
        String client = "java-idempotent";
        String sender = client + ".1";
        note(client, "open", ",\"sender\":\"" + sender + "\",\"idempotent\":true");
        Map<String, Object> settings =
                Map.of("bootstrap.servers", bootstrap, "acks", "all", "linger.ms", 2, "delivery.timeout.ms", 120_000, "max.block.ms", 1000);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; !draining; number++) {
                int partition = number % partitions;
                String fields = ",\"s\":\"" + sender + "\",\"n\":" + number + ",\"p\":" + partition;
                note(client, "send", fields);
                try {
                    producer.send(new ProducerRecord<>(topic, partition, null, sender + ":" + number + ":" + PADDING), (placed, failure) -> {
                        if (failure == null) {
                            note(client, "ack", fields + ",\"o\":" + placed.offset());
                            if (!up.getAndSet(true)) {
                                System.out.println("up");
                            }
                        } else {
                            note(client, "unknown", fields + error(failure));
                        }
                    });
                } catch (RuntimeException failure) {
                    note(client, "fail", fields + error(failure));
                }
                pause(20);
            }
            producer.flush();
        }
    }

    private final class Member implements Runnable, ConsumerRebalanceListener {
        private final String name;
        private final String group;
        private final KafkaConsumer<String, String> consumer;
        private final Map<TopicPartition, OffsetAndMetadata> positions = new TreeMap<>((a, b) -> a.partition() - b.partition());

        private Member(String name, String group, String protocol) {
            this.name = name;
            this.group = group;
            Map<String, Object> settings = new TreeMap<>(Map.of(
                    "bootstrap.servers", bootstrap, "group.id", group, "group.protocol", protocol, "auto.offset.reset", "earliest",
                    "enable.auto.commit", "false", "client.id", name, "default.api.timeout.ms", 20_000));
            if (protocol.equals("classic")) {
                settings.put("session.timeout.ms", 8000);
                settings.put("heartbeat.interval.ms", 1000);
            }
            consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        }

        @Override
        public void run() {
            note(name, "member", ",\"group\":\"" + group + "\"");
            consumer.subscribe(List.of(topic), this);
            for (int turn = 1; !stopping; turn++) {
                try {
                    take(consumer.poll(Duration.ofMillis(250)));
                    if (turn % 4 == 0) {
                        commit();
                    }
                } catch (RuntimeException failure) {
                    note(name, "trouble", error(failure));
                    pause(100);
                }
            }
            try {
                consumer.close();
            } catch (RuntimeException failure) {
                note(name, "trouble", error(failure));
            }
        }

        private void take(ConsumerRecords<String, String> records) {
            for (TopicPartition partition : records.partitions()) {
                List<ConsumerRecord<String, String>> rows = records.records(partition);
                String list = rows.stream()
                        .map(row -> "[" + row.offset() + ",\"" + row.value().substring(0, row.value().lastIndexOf(':')) + "\"]")
                        .collect(Collectors.joining(","));
                note(name, "poll", ",\"p\":" + partition.partition() + ",\"r\":[" + list + "]");
                positions.put(partition, new OffsetAndMetadata(rows.get(rows.size() - 1).offset() + 1));
            }
        }

        private void commit() {
            if (positions.isEmpty()) {
                return;
            }
            String at = ",\"group\":\"" + group + "\",\"at\":{"
                    + positions.entrySet().stream()
                            .map(entry -> "\"" + entry.getKey().partition() + "\":" + entry.getValue().offset())
                            .collect(Collectors.joining(",")) + "}";
            Map<TopicPartition, OffsetAndMetadata> offsets = Map.copyOf(positions);
            positions.clear();
            note(name, "commit", at);
            try {
                consumer.commitSync(offsets);
                note(name, "committed", at);
            } catch (CommitFailedException failure) {
                note(name, "commit-refused", at + error(failure));
            } catch (RuntimeException failure) {
                note(name, "commit-failed", at + error(failure));
            }
        }

        private String parts(Collection<TopicPartition> partitions) {
            String list = partitions.stream().map(partition -> "" + partition.partition()).collect(Collectors.joining(","));
            return ",\"group\":\"" + group + "\",\"p\":[" + list + "]";
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            note(name, "assigned", parts(partitions));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commit();
            note(name, "revoked", parts(partitions));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            positions.clear();
            note(name, "revoked", parts(partitions) + ",\"lost\":true");
        }
    }
}
