/*
 * load: one librdkafka client that produces, consumes or measures latencies, and prints one line of JSON.
 *
 *   load produce  BROKERS TOPIC PARTITIONS SIZE COUNT [key=value...]
 *   load consume  BROKERS TOPIC PARTITIONS COUNT      [key=value...]
 *   load latency  BROKERS TOPIC PARTITIONS SIZE RATE SECONDS [key=value...]
 *
 * key=value are librdkafka's settings; keys=N is our own: records have one of so many keys.
 * Payloads do not compress and are not copied.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define BATCH 1000
#define PAYLOADS 4096

static void fail(const char *what, const char *why) {
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

/* A pool of bytes that do not compress; a record is a window into it. */
static char *random_bytes(size_t size) {
    char *bytes = malloc(size);
    uint64_t state = 88172645463325252ULL;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memcpy(bytes + i, &state, 8);
    }
    return bytes;
}

static atomic_long failed, answered;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    atomic_fetch_add(&answered, 1);
    if (message->err) {
        if (atomic_fetch_add(&failed, 1) == 0) fprintf(stderr, "load: %s\n", rd_kafka_err2str(message->err));
    }
}

static long keys;

static rd_kafka_conf_t *settings(const char *brokers, int count, char **pairs) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error);
    for (int i = 0; i < count; i++) {
        char *value = strchr(pairs[i], '=');
        if (!value) fail(pairs[i], "is not key=value");
        *value++ = 0;
        if (!strcmp(pairs[i], "keys")) {
            keys = atol(value);
            continue;
        }
        if (rd_kafka_conf_set(conf, pairs[i], value, error, sizeof error) != RD_KAFKA_CONF_OK) fail(pairs[i], error);
    }
    return conf;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char error[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (!client) fail("librdkafka", error);
    return client;
}

static void result(const char *name, long messages, double bytes, double seconds, double cpu) {
    printf("{\"command\":\"%s\",\"messages\":%ld,\"bytes\":%.0f,\"seconds\":%.3f,\"mb_per_s\":%.2f,\"messages_per_s\":%.0f,"
           "\"client_cpu_s\":%.3f,\"failed\":%ld}\n",
           name, messages, bytes, seconds, bytes / 1e6 / seconds, messages / seconds, cpu, atomic_load(&failed));
}

static int produce(int argc, char **argv) {
    if (argc < 7) fail("usage", "produce BROKERS TOPIC PARTITIONS SIZE COUNT");
    int partitions = atoi(argv[4]);
    size_t size = atol(argv[5]);
    long count = atol(argv[6]);
    rd_kafka_conf_t *conf = settings(argv[2], argc - 7, argv + 7);
    char error[512];
    rd_kafka_conf_set(conf, "delivery.report.only.error", "true", error, sizeof error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[3], NULL);
    char *pool = random_bytes(PAYLOADS + size + 8);
    rd_kafka_message_t *batch = calloc(BATCH, sizeof *batch);
    char (*names)[32] = calloc(BATCH, sizeof *names);
    double begin = now(), cpu = own_cpu();
    for (long sent = 0; sent < count;) {
        int wanted = count - sent < BATCH ? (int)(count - sent) : BATCH;
        for (int i = 0; i < wanted; i++) {
            batch[i].payload = pool + ((sent + i) * 16) % PAYLOADS;
            batch[i].len = size;
            if (keys) {
                unsigned long number = (unsigned long)(sent + i) * 11400714819323198485ul;
                batch[i].key = names[i];
                batch[i].key_len = snprintf(names[i], sizeof names[i], "key-%012lu", (number >> 20) % keys);
            }
        }
        int done = 0, partition = (int)(sent / BATCH % partitions);
        while (done < wanted) {
            int some = rd_kafka_produce_batch(topic, partition, 0, batch + done, wanted - done);
            if (some == 0) rd_kafka_poll(rk, 5);
            done += some;
        }
        sent += wanted;
        rd_kafka_poll(rk, 0);
    }
    if (rd_kafka_flush(rk, 300000)) fail("flush", "records were left after five minutes");
    double seconds = now() - begin;
    result("produce", count, (double)count * size, seconds, own_cpu() - cpu);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return atomic_load(&failed) != 0;
}

static int consume(int argc, char **argv) {
    if (argc < 6) fail("usage", "consume BROKERS TOPIC PARTITIONS COUNT");
    int partitions = atoi(argv[4]);
    long count = atol(argv[5]), seen = 0;
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, settings(argv[2], argc - 6, argv + 6));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[3], NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_message_t **batch = calloc(BATCH, sizeof *batch);
    double begin = now(), cpu = own_cpu(), bytes = 0, last = begin;
    for (int i = 0; i < partitions; i++) {
        if (rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_BEGINNING, queue)) fail("consume", "start");
    }
    while (seen < count) {
        ssize_t some = rd_kafka_consume_batch_queue(queue, 1000, batch, BATCH);
        for (ssize_t i = 0; i < some; i++) {
            if (!batch[i]->err) seen++, bytes += batch[i]->len;
            rd_kafka_message_destroy(batch[i]);
        }
        if (some > 0) last = now();
        if (now() - last > 30) fail("consume", "no records for 30 s");
    }
    double seconds = now() - begin;
    result("consume", seen, bytes, seconds, own_cpu() - cpu);
    fflush(stdout);
    _exit(0);
}

/* Latency: each record carries the time it was due as its opaque. */
static double *samples;
static atomic_long taken;
static long room;
static atomic_int stopping;

static void on_latency(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    uint64_t due;
    memcpy(&due, &message->_private, sizeof due);
    double seconds = now() - due / 1e9;
    long index = atomic_fetch_add(&taken, 1);
    if (index < room) samples[index] = seconds;
    if (message->err) atomic_fetch_add(&failed, 1);
}

static void *poll_forever(void *rk) {
    while (!atomic_load(&stopping)) rd_kafka_poll(rk, 50);
    return NULL;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(long count, double q) {
    long index = (long)(q * count);
    return samples[index < count ? index : count - 1] * 1e6;
}

static int latency(int argc, char **argv) {
    if (argc < 8) fail("usage", "latency BROKERS TOPIC PARTITIONS SIZE RATE SECONDS");
    int partitions = atoi(argv[4]);
    size_t size = atol(argv[5]);
    long rate = atol(argv[6]);
    room = rate * atol(argv[7]);
    samples = calloc(room, sizeof *samples);
    rd_kafka_conf_t *conf = settings(argv[2], argc - 8, argv + 8);
    rd_kafka_conf_set_dr_msg_cb(conf, on_latency);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[3], NULL);
    char *pool = random_bytes(PAYLOADS + size + 8);
    pthread_t poller;
    pthread_create(&poller, NULL, poll_forever, rk);
    double begin = now() + 0.01, cpu = own_cpu();
    for (long i = 0; i < room; i++) {
        double due = begin + (double)i / rate;
        struct timespec t = {(time_t)due, (long)((due - (time_t)due) * 1e9)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
        }
        uint64_t stamp = (uint64_t)(due * 1e9);
        void *opaque;
        memcpy(&opaque, &stamp, sizeof opaque);
        if (rd_kafka_produce(topic, i % partitions, 0, pool + (i * 16) % PAYLOADS, size, NULL, 0, opaque)) {
            atomic_fetch_add(&failed, 1), atomic_fetch_add(&taken, 1);
        }
    }
    rd_kafka_flush(rk, 30000);
    double seconds = now() - begin;
    atomic_store(&stopping, 1);
    pthread_join(poller, NULL);
    long count = atomic_load(&taken) < room ? atomic_load(&taken) : room;
    qsort(samples, count, sizeof *samples, ascending);
    printf("{\"command\":\"latency\",\"messages\":%ld,\"seconds\":%.3f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,"
           "\"max_us\":%.0f,\"client_cpu_s\":%.3f,\"failed\":%ld}\n",
           count, seconds, quantile(count, 0.5), quantile(count, 0.99), quantile(count, 0.999), quantile(count, 1),
           own_cpu() - cpu, atomic_load(&failed));
    return atomic_load(&failed) != 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "produce")) return produce(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "consume")) return consume(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "latency")) return latency(argc, argv);
    fprintf(stderr, "usage: load produce|consume|latency ...\n");
    return 2;
}
