import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
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

/** Exercises groups with Kafka's Java consumer: {@code GroupProbe BOOTSTRAP NAME classic|consumer COMMAND...}. */
public final class GroupProbe {
    private static final int PARTITIONS = 6;

    private final String bootstrap;
    private final String name;
    private final String protocol;

    private GroupProbe(String bootstrap, String name, String protocol) {
        this.bootstrap = bootstrap;
        this.name = name;
        this.protocol = protocol;
    }

    /** Runs the commands one after the other. */
    public static void main(String[] arguments) throws Exception {
        for (int i = 3; i < arguments.length; i++) {
            GroupProbe probe = new GroupProbe(arguments[0], arguments[1] + "-" + arguments[i], arguments[2]);
            switch (arguments[i]) {
                case "rebalance" -> probe.rebalance(Map.of());
                case "eager" -> probe.rebalance(Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor"));
                case "cooperative" -> probe.rebalance(Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
                case "commits" -> probe.commits();
                case "static" -> probe.staticMember();
                case "autocommit" -> probe.autoCommit();
                default -> throw new IllegalArgumentException(arguments[i]);
            }
            System.out.println(arguments[i] + " OK");
        }
        System.out.println("OK");
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new AssertionError(message);
        }
    }

    private KafkaConsumer<String, String> consumer(Map<String, String> more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", name);
        settings.put("group.protocol", protocol);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        if (protocol.equals("classic")) {
            settings.put("session.timeout.ms", "10000");
            settings.put("heartbeat.interval.ms", "500");
        }
        settings.putAll(more);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private void fill(int from, int count) throws Exception {
        if (from == 0) {
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
                admin.createTopics(List.of(new NewTopic(name, PARTITIONS, (short) 1))).all().get();
            }
        }
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < from + count; i++) {
                producer.send(new ProducerRecord<>(name, i % PARTITIONS, null, "" + i));
            }
        }
    }

    /** One owner per partition at a time, as the listeners see it, while members come and go; nothing is skipped. */
    private void rebalance(Map<String, String> settings) throws Exception {
        fill(0, 600);
        Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
        Set<String> seen = ConcurrentHashMap.newKeySet();
        List<String> wrong = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Member member = new Member("m" + i, consumer(settings), owners, seen, wrong);
            members.add(member);
            member.start();
            int expected = i + 1;
            await(() -> members.stream().allMatch(one -> one.owned.get() > 0) && owners.size() == PARTITIONS && new HashSet<>(owners.values()).size() == expected, "member " + i + " in, owners " + owners);
        }
        fill(600, 300);
        await(() -> seen.size() == 900, "only " + seen.size() + " records seen");
        members.get(0).leave();
        await(() -> owners.size() == PARTITIONS && new HashSet<>(owners.values()).size() == 2, "one left, owners " + owners);
        fill(900, 300);
        await(() -> seen.size() == 1200, "after leaving only " + seen.size() + " records seen");
        members.get(1).leave();
        members.get(2).leave();
        check(wrong.isEmpty(), wrong.toString());
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void await(Condition condition, String message) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(40).toNanos();
        while (!condition.holds()) {
            check(System.nanoTime() < end, message);
            Thread.sleep(50);
        }
    }

    private static final class Member extends Thread implements ConsumerRebalanceListener {
        private final KafkaConsumer<String, String> consumer;
        private final Map<TopicPartition, String> owners;
        private final Set<String> seen;
        private final List<String> wrong;
        private final AtomicBoolean leaving = new AtomicBoolean();
        private final AtomicInteger owned = new AtomicInteger();

        Member(String name, KafkaConsumer<String, String> consumer, Map<TopicPartition, String> owners, Set<String> seen, List<String> wrong) {
            super(name);
            this.consumer = consumer;
            this.owners = owners;
            this.seen = seen;
            this.wrong = wrong;
        }

        @Override
        public void run() {
            try (consumer) {
                consumer.subscribe(List.of(consumer.groupMetadata().groupId()), this);
                while (!leaving.get()) {
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                    for (ConsumerRecord<String, String> record : records) {
                        seen.add(record.value());
                    }
                    if (!records.isEmpty()) {
                        consumer.commitSync();
                    }
                }
            } catch (RuntimeException error) {
                synchronized (wrong) {
                    wrong.add(getName() + ": " + error);
                }
            }
        }

        void leave() throws InterruptedException {
            leaving.set(true);
            join();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition partition : partitions) {
                String before = owners.put(partition, getName());
                if (before != null && !before.equals(getName())) {
                    synchronized (wrong) {
                        wrong.add(partition + " of " + before + " was given to " + getName());
                    }
                }
            }
            owned.addAndGet(partitions.size());
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            partitions.forEach(partition -> owners.remove(partition, getName()));
            owned.addAndGet(-partitions.size());
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            onPartitionsRevoked(partitions);
        }
    }

    private static Map<Integer, Integer> read(KafkaConsumer<String, String> consumer, int count) {
        Map<Integer, Integer> seen = new HashMap<>();
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        int total = 0;
        while (total < count) {
            check(System.nanoTime() < end, "only " + total + " of " + count + " records");
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                seen.merge(record.partition(), 1, Integer::sum);
                total++;
            }
        }
        return seen;
    }

    /** Commits, sync and async, with metadata; a new member goes on from there; seek, pause and resume within a group. */
    private void commits() throws Exception {
        fill(0, 60);
        TopicPartition first = new TopicPartition(name, 0);
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            consumer.subscribe(List.of(name));
            read(consumer, 60);
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(4, "note")));
            AtomicBoolean answered = new AtomicBoolean();
            consumer.commitAsync(Map.of(new TopicPartition(name, 1), new OffsetAndMetadata(10)), (offsets, error) -> answered.set(error == null));
            await(() -> {
                consumer.poll(Duration.ofMillis(50));
                return answered.get();
            }, "no answer to commitAsync");
        }
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            check(consumer.committed(Set.of(first)).get(first).metadata().equals("note"), "metadata");
            consumer.subscribe(List.of(name));
            Map<Integer, Integer> seen = read(consumer, 46);
            check(seen.get(0) == 6 && !seen.containsKey(1), "after the commits " + seen);
            consumer.pause(consumer.assignment());
            consumer.seek(first, 8);
            check(consumer.poll(Duration.ofMillis(300)).isEmpty(), "paused");
            consumer.resume(consumer.assignment());
            check(read(consumer, 2).get(0) == 2, "after the seek");
        }
    }

    /** A static member that stops and comes back keeps its partitions; the other one notices nothing. */
    private void staticMember() throws Exception {
        fill(0, 60);
        Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
        Set<String> seen = ConcurrentHashMap.newKeySet();
        List<String> wrong = new ArrayList<>();
        Member stays = new Member("stays", consumer(Map.of("group.instance.id", "stays")), owners, seen, wrong);
        Member restarts = new Member("restarts", consumer(Map.of("group.instance.id", "restarts")), new ConcurrentHashMap<>(), seen, wrong);
        stays.start();
        restarts.start();
        await(() -> stays.owned.get() == 3 && restarts.owned.get() == 3, "three each");
        Set<TopicPartition> before = Set.copyOf(owners.keySet());
        restarts.leave();
        Member again = new Member("again", consumer(Map.of("group.instance.id", "restarts")), new ConcurrentHashMap<>(), seen, wrong);
        again.start();
        await(() -> again.owned.get() == 3, "three again");
        check(owners.keySet().equals(before) && stays.owned.get() == 3, "the other member kept its own");
        again.leave();
        stays.leave();
        check(wrong.isEmpty(), wrong.toString());
    }

    /** Automatic commits, also when closing. */
    private void autoCommit() throws Exception {
        fill(0, 60);
        Map<String, String> automatic = Map.of("enable.auto.commit", "true", "auto.commit.interval.ms", "200");
        try (KafkaConsumer<String, String> consumer = consumer(automatic)) {
            consumer.subscribe(List.of(name));
            read(consumer, 60);
        }
        fill(60, 6);
        try (KafkaConsumer<String, String> consumer = consumer(automatic)) {
            consumer.subscribe(List.of(name));
            check(read(consumer, 6).size() == PARTITIONS, "one new record of each partition");
        }
    }
}
