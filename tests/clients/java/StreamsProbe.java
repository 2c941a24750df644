import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Produced;

/** Counts words with Kafka Streams, at least once: {@code StreamsProbe BOOTSTRAP NAME}. */
public final class StreamsProbe {
    private static final String[] WORDS = {"log", "offset", "group", "leader", "replica", "segment", "broker"};
    private static final int PARTITIONS = 4;

    private final String bootstrap;
    private final String name;

    private StreamsProbe(String bootstrap, String name) {
        this.bootstrap = bootstrap;
        this.name = name;
    }

    /** One instance, then a second beside it, then the first alone again with the state it had. */
    public static void main(String[] arguments) throws Exception {
        StreamsProbe probe = new StreamsProbe(arguments[0], arguments[1]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", probe.bootstrap))) {
            admin.createTopics(List.of(new NewTopic(probe.name + "-in", PARTITIONS, (short) 1), new NewTopic(probe.name + "-out", PARTITIONS, (short) 1))).all().get();
        }
        Map<String, Long> written = new HashMap<>();
        Path first = Files.createTempDirectory("streams");
        Path second = Files.createTempDirectory("streams");
        KafkaStreams one = probe.start(first);
        probe.write(written, 500);
        probe.await(written);
        KafkaStreams two = probe.start(second);
        probe.write(written, 500);
        probe.await(written);
        one.close(Duration.ofSeconds(20));
        probe.write(written, 500);
        probe.await(written);
        one = probe.start(first);
        two.close(Duration.ofSeconds(20));
        probe.write(written, 500);
        probe.await(written);
        one.close(Duration.ofSeconds(20));
        System.out.println("OK");
    }

    private KafkaStreams start(Path state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "200");
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "10000");
        settings.put("internal.leave.group.on.close", true);
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(name + "-in")
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word)
            .count()
            .toStream()
            .to(name + "-out", Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        return streams;
    }

    private void write(Map<String, Long> written, int lines) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < lines; i++) {
                String one = WORDS[i % WORDS.length];
                String two = WORDS[i * 5 % WORDS.length];
                producer.send(new ProducerRecord<>(name + "-in", i % PARTITIONS, null, one + " " + two));
                written.merge(one, 1L, Long::sum);
                written.merge(two, 1L, Long::sum);
            }
        }
    }

    /** The last count of each word is what was written. Nothing was counted twice: every instance stops in order. */
    private void await(Map<String, Long> written) throws Exception {
        Map<String, Long> counted = new HashMap<>();
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest");
        long end = System.nanoTime() + Duration.ofSeconds(90).toNanos();
        try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) {
                all.add(new TopicPartition(name + "-out", i));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (!counted.equals(written)) {
                if (System.nanoTime() > end) {
                    throw new AssertionError("counted " + counted + ", written " + written);
                }
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    counted.put(record.key(), record.value());
                }
            }
        }
    }
}
