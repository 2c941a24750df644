import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Exercises the broker with Kafka's Java client: {@code ClientProbe BOOTSTRAP TOPIC COMMAND...}; exit code 0 when all was right. */
public final class ClientProbe {
    private static final int COUNT = 2000;
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    private final String bootstrap;
    private final String topic;

    private ClientProbe(String bootstrap, String topic) {
        this.bootstrap = bootstrap;
        this.topic = topic;
    }

    /** Runs the commands one after the other. */
    public static void main(String[] arguments) throws Exception {
        for (String command : Arrays.asList(arguments).subList(2, arguments.length)) {
            ClientProbe probe = new ClientProbe(arguments[0], arguments[1] + "-" + command);
            switch (command) {
                case "roundtrip" -> probe.roundtrip();
                case "times" -> probe.times();
                case "rewind" -> probe.rewind();
                case "admin" -> probe.admin();
                case "recreate" -> probe.recreate();
                default -> throw new IllegalArgumentException(command);
            }
            System.out.println(command + " OK");
        }
        System.out.println("OK");
    }

    private KafkaProducer<byte[], byte[]> producer(String codec) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", codec);
        settings.put("enable.idempotence", "true");
        settings.put("linger.ms", "2");
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "700");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new AssertionError(message);
        }
    }

    private void create(int partitions, Map<String, String> settings) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(settings))).all().get();
        }
    }

    /** Idempotent producers with every codec; keys, null values, headers and timestamps come back, in order. */
    private void roundtrip() throws Exception {
        create(4, Map.of("retention.ms", "-1"));
        for (String codec : CODECS) {
            try (KafkaProducer<byte[], byte[]> producer = producer(codec)) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int i = 0; i < COUNT; i++) {
                    byte[] value = i % 10 == 0 ? null : bytes(codec + " value " + i);
                    ProducerRecord<byte[], byte[]> record =
                        new ProducerRecord<>(topic, i % 4, 1_700_000_000_000L + i, bytes(codec + i), value);
                    record.headers().add("codec", bytes(codec)).add("empty", null);
                    sent.add(producer.send(record));
                }
                for (Future<RecordMetadata> one : sent) {
                    check(one.get().hasOffset(), "no offset");
                }
            }
        }
        readBack();
    }

    private void readBack() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(0, 1, 2, 3).stream().map(p -> new TopicPartition(topic, p)).toList());
            Map<Integer, Long> next = new HashMap<>();
            Map<String, Integer> seen = new HashMap<>();
            long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            int total = 0;
            while (total < COUNT * CODECS.size() && System.nanoTime() < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    check(record.offset() == next.getOrDefault(record.partition(), 0L), "a gap at " + record.offset());
                    next.put(record.partition(), record.offset() + 1);
                    String codec = new String(record.headers().lastHeader("codec").value(), StandardCharsets.UTF_8);
                    check(record.headers().lastHeader("empty").value() == null, "header");
                    int i = (int) (record.timestamp() - 1_700_000_000_000L);
                    check(Arrays.equals(record.key(), bytes(codec + i)), "key of " + codec + i);
                    check(i % 10 == 0 ? record.value() == null : Arrays.equals(record.value(), bytes(codec + " value " + i)),
                        "value of " + codec + i);
                    seen.merge(codec, 1, Integer::sum);
                    total++;
                }
            }
            check(CODECS.stream().allMatch(codec -> seen.getOrDefault(codec, 0) == COUNT), "seen " + seen);
        }
    }

    /** offsetsForTimes, beginning and end offsets. */
    private void times() throws Exception {
        create(1, Map.of("retention.ms", "-1"));
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = producer("lz4")) {
            for (int i = 0; i < 1000; i++) {
                producer.send(new ProducerRecord<>(topic, 0, 10_000L + i * 10L, null, new byte[200]));
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            for (long target : new long[] {0, 10_000, 10_001, 15_000, 19_990}) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, target)).get(partition);
                long expected = Math.max(0, (target - 10_000 + 9) / 10);
                check(found.offset() == expected && found.timestamp() == 10_000 + expected * 10, target + " -> " + found);
            }
            check(consumer.offsetsForTimes(Map.of(partition, 20_000L)).get(partition) == null, "a time after the end");
            check(consumer.beginningOffsets(List.of(partition)).get(partition) == 0, "beginning");
            check(consumer.endOffsets(List.of(partition)).get(partition) == 1000, "end");
        }
    }

    /** Seeks back and forth within one consumer: sessions with changing positions, topic ids, pause and resume. */
    private void rewind() throws Exception {
        create(2, Map.of("segment.bytes", "1048576"));
        try (KafkaProducer<byte[], byte[]> producer = producer("none")) {
            for (int i = 0; i < 6000; i++) {
                producer.send(new ProducerRecord<>(topic, i % 2, null, bytes("" + i / 2 + " " + "x".repeat(500))));
            }
        }
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(first, second));
            for (long target : new long[] {0, 2999, 1500, 1, 2500, 777}) {
                consumer.seek(first, target);
                consumer.seek(second, 2999 - target);
                check(number(next(consumer, first)) == target, "seek to " + target);
                consumer.pause(List.of(first));
                consumer.seek(second, 2999 - target);
                check(number(next(consumer, second)) == 2999 - target, "paused, seek to " + (2999 - target));
                consumer.resume(List.of(first));
            }
            consumer.seekToEnd(List.of(first));
            check(consumer.position(first) == 3000, "end");
            consumer.seek(first, 99_999);
            check(number(next(consumer, first)) == 0, "out of range starts at the beginning");
        }
    }

    private static long number(ConsumerRecord<byte[], byte[]> record) {
        return Long.parseLong(new String(record.value(), StandardCharsets.UTF_8).split(" ")[0]);
    }

    private static ConsumerRecord<byte[], byte[]> next(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (System.nanoTime() < end) {
            List<ConsumerRecord<byte[], byte[]>> records = consumer.poll(Duration.ofMillis(500)).records(partition);
            if (!records.isEmpty()) {
                return records.get(0);
            }
        }
        throw new AssertionError("nothing from " + partition);
    }

    /** The admin client: topics, partitions, settings, offsets, record deletion, log dirs, cluster, quorum, features, producers. */
    private void admin() throws Exception {
        create(1, Map.of());
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = producer("zstd")) {
            for (int i = 0; i < 100; i++) {
                producer.send(new ProducerRecord<>(topic, bytes("x"))).get();
            }
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            TopicDescription description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            check(description.partitions().size() == 1, description.toString());
            check(admin.listTopics().names().get().contains(topic), "list");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "123456"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
            check(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value().equals("123456"), "config");
            check(!admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().isEmpty(), "producers");
            check(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(partition).get().lowWatermark() == 40, "delete");
            for (Map.Entry<OffsetSpec, Long> want : Map.of(OffsetSpec.earliest(), 40L, OffsetSpec.latest(), 100L).entrySet()) {
                check(admin.listOffsets(Map.of(partition, want.getKey())).partitionResult(partition).get().offset() == want.getValue(), want.toString());
            }
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            check(!admin.describeCluster().nodes().get().isEmpty() && admin.describeCluster().controller().get() != null, "cluster");
            check(admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).size() == 1, "log dirs");
            check(admin.describeMetadataQuorum().quorumInfo().get().leaderId() == 1, "quorum");
            check(!admin.describeFeatures().featureMetadata().get().supportedFeatures().isEmpty(), "features");
            admin.deleteTopics(List.of(topic)).all().get();
        }
    }

    /** A topic deleted and created again under a running producer's feet: the client follows the new topic id. */
    private void recreate() throws Exception {
        create(1, Map.of());
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap)); KafkaProducer<byte[], byte[]> producer = producer("none")) {
            producer.send(new ProducerRecord<>(topic, bytes("old"))).get();
            admin.deleteTopics(List.of(topic)).all().get();
            create(1, Map.of());
        }
        try (KafkaProducer<byte[], byte[]> producer = producer("none"); KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            while (producer.send(new ProducerRecord<>(topic, bytes("0 new"))).get().offset() != 0) {
                check(System.nanoTime() < end, "the new topic is not empty");
            }
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            check(number(next(consumer, partition)) == 0, "the new topic's first record");
        }
    }
}
