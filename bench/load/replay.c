/*
 * replay: sends Produce requests whose batches were encoded beforehand, and prints one line of JSON.
 *
 *   replay HOST:PORT TOPIC PARTITIONS SIZE COUNT
 *
 * What a producer spends on its records is left out, so that the broker is the limit and not the client: the same batches,
 * uncompressed, up to 1,000,000 bytes and 10,000 records of SIZE bytes, go round the partitions with acks=1, five requests
 * unanswered on one connection. COUNT is rounded up to whole batches.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define MAX_BATCH 1000000
#define MAX_RECORDS 10000
#define IN_FLIGHT 5
#define OVERHEAD 16 /* most bytes of a record beside its value */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put(uint8_t **at, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) *(*at)++ = value >> (8 * i);
}

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

static void put_string(uint8_t **at, const char *text) {
    put(at, strlen(text), 2);
    memcpy(*at, text, strlen(text));
    *at += strlen(text);
}

static void put_varint(uint8_t **at, int64_t value) {
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; zigzag > 127; zigzag >>= 7) *(*at)++ = zigzag | 128;
    *(*at)++ = zigzag;
}

static uint32_t crc32c(const uint8_t *bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
    }
    return ~crc;
}

/* A record batch of format 2 without a producer id. */
static void put_batch(uint8_t **at, int records, size_t size) {
    uint8_t *start = *at;
    *at += 21;
    put(at, 0, 2), put(at, records - 1, 4);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t millis = t.tv_sec * 1000ull + t.tv_nsec / 1000000;
    put(at, millis, 8), put(at, millis, 8), put(at, -1, 8), put(at, -1, 2), put(at, -1, 4), put(at, records, 4);
    uint64_t state = 88172645463325252ull;
    for (int i = 0; i < records; i++) {
        uint8_t record[OVERHEAD], *end = record;
        put(&end, 0, 1), put_varint(&end, 0), put_varint(&end, i), put_varint(&end, -1), put_varint(&end, size);
        put_varint(at, end - record + size + 1);
        memcpy(*at, record, end - record), *at += end - record;
        for (size_t j = 0; j < size; j++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            *(*at)++ = state;
        }
        put_varint(at, 0);
    }
    uint8_t *head = start;
    put(&head, 0, 8), put(&head, *at - start - 12, 4), put(&head, -1, 4), put(&head, 2, 1);
    put(&head, crc32c(start + 21, *at - start - 21), 4);
}

/* A Produce request, version 7, with its length before it. */
static size_t request(uint8_t *start, const char *topic, int partition, int records, size_t size) {
    uint8_t *at = start + 4;
    put(&at, 0, 2), put(&at, 7, 2), put(&at, partition, 4), put_string(&at, "replay");
    put(&at, -1, 2), put(&at, 1, 2), put(&at, 30000, 4), put(&at, 1, 4), put_string(&at, topic);
    put(&at, 1, 4), put(&at, partition, 4);
    uint8_t *length = at;
    at += 4;
    put_batch(&at, records, size);
    put(&length, at - length - 4, 4);
    put(&start, at - start - 4, 4);
    return at - start + 4;
}

static int dial(char *address) {
    char *port = strrchr(address, ':');
    if (!port) fail(address);
    *port++ = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(address, port, &hints, &found)) fail("address");
    int fd = socket(found->ai_family, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void read_all(int fd, uint8_t *bytes, size_t count) {
    for (size_t got = 0; got < count;) {
        ssize_t some = read(fd, bytes + got, count - got);
        if (some <= 0) fail("read");
        got += some;
    }
}

static void read_answer(int fd, const char *topic) {
    uint8_t answer[1024];
    read_all(fd, answer, 4);
    size_t length = get(answer, 4);
    if (length > sizeof answer) fail("answer too large");
    read_all(fd, answer, length);
    /* correlation id, topics, name, partitions, index */
    int error = (int16_t)get(answer + 4 + 4 + 2 + strlen(topic) + 4 + 4, 2);
    if (error) {
        fprintf(stderr, "replay: error code %d\n", error);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: replay HOST:PORT TOPIC PARTITIONS SIZE COUNT\n");
        return 2;
    }
    const char *topic = argv[2];
    int partitions = atoi(argv[3]);
    size_t size = atol(argv[4]);
    int records = (MAX_BATCH - 64) / (size + OVERHEAD);
    if (records > MAX_RECORDS) records = MAX_RECORDS;
    if (partitions < 1 || records < 1) fail("PARTITIONS or SIZE");
    uint8_t **requests = calloc(partitions, sizeof *requests);
    size_t *lengths = calloc(partitions, sizeof *lengths);
    for (int i = 0; i < partitions; i++) {
        requests[i] = malloc(MAX_BATCH + 1024);
        lengths[i] = request(requests[i], topic, i, records, size);
    }
    long batches = (atol(argv[5]) + records - 1) / records;
    int fd = dial(argv[1]);
    double begin = now(), cpu = own_cpu();
    for (long sent = 0; sent < batches + IN_FLIGHT; sent++) {
        if (sent >= IN_FLIGHT) read_answer(fd, topic);
        if (sent >= batches) continue;
        uint8_t *bytes = requests[sent % partitions];
        for (size_t left = lengths[sent % partitions]; left > 0;) {
            ssize_t some = write(fd, bytes, left);
            if (some < 0) fail("write");
            bytes += some, left -= some;
        }
    }
    double seconds = now() - begin;
    long count = batches * records;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f,\"client_cpu_s\":%.3f}\n", count, seconds,
           count / seconds, own_cpu() - cpu);
    return 0;
}
