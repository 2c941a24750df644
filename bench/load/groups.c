/*
 * groups: many members of groups, or many commits, from one thread; prints one line of JSON.
 *
 *   groups join    HOST PORT TOPIC GROUPS MEMBERS HOLD_SECONDS    members of the classic protocol, a connection for each
 *   groups next    HOST PORT TOPIC GROUPS MEMBERS HOLD_SECONDS    the same with the protocol of KIP-848
 *   groups commit  HOST PORT TOPIC PARTITIONS CONNECTIONS IN_FLIGHT PER_REQUEST SECONDS
 *
 * join and next print a line when every member has its part and nobody has to give anything back, then send heartbeats
 * for HOLD_SECONDS and end without leaving. commit keeps IN_FLIGHT requests under way on each connection, with
 * PER_REQUEST partitions each, and counts the offsets that were acknowledged; if SECONDS is negative it is the number of
 * requests on each connection instead. What is sent is written by hand: client
 * libraries need several threads for each member.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { OFFSET_COMMIT = 8, JOIN = 11, HEARTBEAT = 12, SYNC = 14, NEXT_HEARTBEAT = 68 };
enum { NONE = 0, LOADING = 14, UNAVAILABLE = 15, NOT_COORDINATOR = 16, ILLEGAL_GENERATION = 22, UNKNOWN_MEMBER = 25,
       REBALANCING = 27, ID_REQUIRED = 79 };
#define HEARTBEAT_S 3.0

typedef struct {
    char *data;
    size_t used, room;
} Bytes;

typedef struct {
    int fd, group, generation, wanted, joined_as, stable, owns, must_ack;
    char id[64];
    double next_beat, retry_at;
    Bytes in, out, assignment;
    size_t sent;
    int64_t offset;
    int in_flight;
} Member;

static Member *members;
static int member_count, epoll, next_protocol;
static const char *topic;
static int *newest; /* generation of each group */
static long requests, errors;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "groups: %s: %s\n", what, why);
    exit(1);
}

/* Writing. */

static void put(Bytes *to, const void *data, size_t size) {
    if (to->used + size > to->room) {
        to->room = (to->used + size) * 2;
        to->data = realloc(to->data, to->room);
        if (!to->data) fail("memory", "none left");
    }
    if (size) memcpy(to->data + to->used, data, size);
    to->used += size;
}

static void number(Bytes *to, int64_t value, int size) {
    char bytes[8];
    for (int i = 0; i < size; i++) bytes[i] = (char)(value >> (8 * (size - 1 - i)));
    put(to, bytes, size);
}

static void text(Bytes *to, const char *value) {
    number(to, value ? (int64_t)strlen(value) : -1, 2);
    if (value) put(to, value, strlen(value));
}

static void compact(Bytes *to, const char *value) {
    number(to, value ? (int64_t)strlen(value) + 1 : 0, 1);
    if (value) put(to, value, strlen(value));
}

static size_t begin(Bytes *to, int api, int version, int flexible) {
    size_t at = to->used;
    number(to, 0, 4), number(to, api, 2), number(to, version, 2), number(to, api, 4), text(to, "groups");
    if (flexible) number(to, 0, 1);
    return at;
}

static void end(Bytes *to, size_t at) {
    uint32_t size = htonl((uint32_t)(to->used - at - 4));
    memcpy(to->data + at, &size, 4);
    requests++;
}

/* Reading: no bounds are checked, the broker is ours. */

static int64_t take(const char **at, int size) {
    int64_t value = (signed char)**at;
    for (int i = 1; i < size; i++) value = value << 8 | (unsigned char)(*at)[i];
    *at += size;
    return value;
}

static uint32_t take_varint(const char **at) {
    uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
        unsigned char byte = (unsigned char)*(*at)++;
        value |= (uint32_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
}

static void take_text(const char **at, char *out, size_t room) {
    int64_t size = take(at, 2);
    if (size < 0) size = 0;
    if (out) snprintf(out, room, "%.*s", (int)size, *at);
    *at += size;
}

static const char *group_name(const Member *member) {
    static char name[32];
    snprintf(name, sizeof name, "bench-%d", member->group);
    return name;
}

static void flush_out(Member *member) {
    while (member->sent < member->out.used) {
        ssize_t done = write(member->fd, member->out.data + member->sent, member->out.used - member->sent);
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN)) break;
        if (done < 0) fail("write", strerror(errno));
        member->sent += done;
    }
    if (member->sent == member->out.used) member->sent = member->out.used = 0;
    struct epoll_event event = {.events = EPOLLIN | (member->out.used ? EPOLLOUT : 0), .data.ptr = member};
    epoll_ctl(epoll, EPOLL_CTL_MOD, member->fd, &event);
}

/* The classic protocol. */

static void join(Member *member) {
    Bytes *to = &member->out;
    member->stable = 0;
    size_t at = begin(to, JOIN, 5, 0);
    text(to, group_name(member)), number(to, 45000, 4), number(to, 300000, 4), text(to, member->id), text(to, NULL);
    text(to, "consumer"), number(to, 1, 4), text(to, "range");
    number(to, 2 + 4 + 2 + strlen(topic) + 4, 4), number(to, 0, 2), number(to, 1, 4), text(to, topic), number(to, -1, 4);
    end(to, at);
    flush_out(member);
}

/* The leader's answer names all members: each gets the partition of its number. */
static void sync_group(Member *member, int count, const char *rows) {
    Bytes *to = &member->out;
    size_t at = begin(to, SYNC, 3, 0);
    text(to, group_name(member)), number(to, member->generation, 4), text(to, member->id), text(to, NULL);
    number(to, count, 4);
    for (int i = 0; i < count; i++) {
        char id[64];
        take_text(&rows, id, sizeof id), take_text(&rows, NULL, 0);
        int64_t size = take(&rows, 4);
        rows += size;
        text(to, id), number(to, 2 + 4 + 2 + strlen(topic) + 4 + 4 + 4, 4), number(to, 0, 2), number(to, 1, 4);
        text(to, topic), number(to, 1, 4), number(to, i, 4), number(to, -1, 4);
    }
    end(to, at);
    flush_out(member);
}

static void beat(Member *member) {
    Bytes *to = &member->out;
    size_t at = begin(to, HEARTBEAT, 3, 0);
    text(to, group_name(member)), number(to, member->generation, 4), text(to, member->id), text(to, NULL);
    end(to, at);
    flush_out(member);
}

static int refused(Member *member, int error) {
    if (error == NONE) return 0;
    if (error == UNKNOWN_MEMBER) member->id[0] = 0;
    if (error == LOADING || error == UNAVAILABLE || error == NOT_COORDINATOR) member->retry_at = now() + 0.05;
    else if (error == REBALANCING || error == ILLEGAL_GENERATION || error == UNKNOWN_MEMBER || error == ID_REQUIRED) join(member);
    else errors++, fprintf(stderr, "groups: error %d\n", error);
    return 1;
}

static void on_classic(Member *member, int api, const char *at) {
    at += 4; /* throttle */
    int error = (int)take(&at, 2);
    if (api == JOIN) {
        char leader[64], protocol[16];
        member->generation = (int)take(&at, 4);
        take_text(&at, protocol, sizeof protocol), take_text(&at, leader, sizeof leader);
        take_text(&at, member->id, sizeof member->id);
        if (refused(member, error)) return;
        if (member->generation > newest[member->group]) newest[member->group] = member->generation;
        int count = (int)take(&at, 4);
        sync_group(member, strcmp(leader, member->id) == 0 ? count : 0, at);
    } else if (!refused(member, error) && api == SYNC) {
        member->stable = 1, member->next_beat = now() + HEARTBEAT_S;
    }
}

/* KIP-848. */

static void beat_next(Member *member) {
    Bytes *to = &member->out;
    int joins = member->generation == 0;
    size_t at = begin(to, NEXT_HEARTBEAT, 0, 1);
    compact(to, group_name(member)), compact(to, member->id), number(to, member->generation, 4);
    number(to, 0, 1), number(to, 0, 1), number(to, joins ? 300000 : -1, 4);
    if (joins) number(to, 2, 1), compact(to, topic);
    else number(to, 0, 1);
    number(to, 0, 1);
    if (joins) number(to, 1, 1);
    else if (member->must_ack) put(to, member->assignment.data, member->assignment.used);
    else number(to, 0, 1);
    number(to, 0, 1);
    end(to, at);
    member->must_ack = 0;
    flush_out(member);
}

static void on_next(Member *member, const char *at) {
    at += 1 + 4; /* tags of the header, throttle */
    int error = (int)take(&at, 2);
    uint32_t size = take_varint(&at);
    if (error) {
        if (error == LOADING || error == UNAVAILABLE || error == NOT_COORDINATOR) member->retry_at = now() + 0.05;
        else errors++, fprintf(stderr, "groups: error %d: %.*s\n", error, (int)size - 1, at);
        return;
    }
    size = take_varint(&at);
    if (size > 1 && member->id[0] == 0) snprintf(member->id, sizeof member->id, "%.*s", (int)size - 1, at);
    if (size > 1) at += size - 1;
    int epoch = (int)take(&at, 4);
    member->next_beat = now() + take(&at, 4) / 1000.0;
    if (epoch > newest[member->group]) newest[member->group] = epoch;
    member->generation = epoch;
    if (take(&at, 1) < 0) return;
    const char *from = at;
    member->owns = 0;
    for (uint32_t topics = take_varint(&at); topics > 1; topics--) {
        at += 16;
        uint32_t count = take_varint(&at) - 1;
        member->owns += (int)count, at += 4 * count + 1;
    }
    member->assignment.used = 0;
    put(&member->assignment, from, at - from);
    member->must_ack = 1;
    beat_next(member);
}

/* A balanced group: everybody has acknowledged the newest epoch, and has what is due to it. */
static int all_stable(void) {
    for (int i = 0; i < member_count; i++) {
        Member *member = &members[i];
        if (member->generation != newest[member->group]) return 0;
        if (next_protocol ? member->owns != 1 || member->must_ack : !member->stable) return 0;
    }
    return 1;
}

/* Commits. */

static void commit(Member *member, int partitions, int per_request) {
    Bytes *to = &member->out;
    size_t at = begin(to, OFFSET_COMMIT, 7, 0);
    text(to, group_name(member)), number(to, -1, 4), text(to, ""), text(to, NULL), number(to, 1, 4), text(to, topic);
    number(to, per_request, 4);
    for (int i = 0; i < per_request; i++) {
        number(to, (member->offset + i) % partitions, 4), number(to, member->offset, 8), number(to, -1, 4), text(to, "");
    }
    member->offset += per_request, member->in_flight++;
    end(to, at);
}

static int on_commit(const char *at) {
    int acknowledged = 0;
    at += 4;
    for (int64_t topics = take(&at, 4); topics > 0; topics--) {
        take_text(&at, NULL, 0);
        for (int64_t count = take(&at, 4); count > 0; count--) {
            at += 4;
            if (take(&at, 2) == NONE) acknowledged++;
            else errors++;
        }
    }
    return acknowledged;
}

/* Sockets. */

static void connect_to(Member *member, const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    inet_pton(AF_INET, host, &address.sin_addr);
    member->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (member->fd < 0) fail("socket", strerror(errno));
    if (connect(member->fd, (struct sockaddr *)&address, sizeof address)) fail("connect", strerror(errno));
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(member->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, member->fd, &event)) fail("epoll", strerror(errno));
}

/* Reads what is there and hands each answer over; returns the offsets acknowledged. */
static int read_in(Member *member, int commits) {
    Bytes *in = &member->in;
    int acknowledged = 0;
    if (in->room - in->used < 65536) {
        size_t used = in->used;
        in->room = in->room * 2 + 4096;
        in->data = realloc(in->data, in->room);
        in->used = used;
    }
    ssize_t got = read(member->fd, in->data + in->used, in->room - in->used);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) fail("read", got ? strerror(errno) : "the broker closed a connection");
    in->used += got;
    size_t done = 0;
    while (in->used - done >= 4) {
        const char *at = in->data + done;
        size_t size = (size_t)take(&at, 4);
        if (in->used - done < 4 + size) break;
        int api = (int)take(&at, 4);
        if (commits) acknowledged += on_commit(at), member->in_flight--;
        else if (api == NEXT_HEARTBEAT) on_next(member, at);
        else on_classic(member, api, at);
        done += 4 + size;
    }
    memmove(in->data, in->data + done, in->used - done);
    in->used -= done;
    if (in->used == 0 && !commits && in->room > 65536) free(in->data), memset(in, 0, sizeof *in);
    return acknowledged;
}

static void time_passes(double at) {
    for (int i = 0; i < member_count; i++) {
        Member *member = &members[i];
        if (member->retry_at && member->retry_at < at) {
            member->retry_at = 0;
            next_protocol ? beat_next(member) : join(member);
        } else if (member->next_beat && member->next_beat < at) {
            member->next_beat = at + HEARTBEAT_S;
            if (next_protocol) beat_next(member);
            else if (member->stable) beat(member);
        }
    }
}

static void run_members(const char *host, int port, int groups, int each, double hold) {
    member_count = groups * each;
    members = calloc(member_count, sizeof *members), newest = calloc(groups, sizeof *newest);
    for (int i = 0; i < member_count; i++) members[i].group = i % groups, connect_to(&members[i], host, port);
    printf("{\"connected\":%d}\n", member_count), fflush(stdout);
    if (getchar() == EOF) return;
    double begin_at = now(), cpu = own_cpu(), stable_at = 0, looked = 0;
    for (int i = 0; i < member_count; i++) next_protocol ? beat_next(&members[i]) : join(&members[i]);
    struct epoll_event events[256];
    while (!stable_at || now() < stable_at + hold) {
        int ready = epoll_wait(epoll, events, 256, 20);
        for (int i = 0; i < ready; i++) {
            Member *member = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush_out(member);
            if (events[i].events & (EPOLLIN | EPOLLHUP)) read_in(member, 0);
        }
        double at = now();
        if (at < looked + 0.02) continue;
        looked = at;
        time_passes(at);
        if (!stable_at && all_stable()) {
            stable_at = at;
            printf("{\"members\":%d,\"stable_s\":%.3f,\"requests\":%ld,\"errors\":%ld,\"client_cpu_s\":%.3f}\n", member_count,
                   at - begin_at, requests, errors, own_cpu() - cpu);
            fflush(stdout);
        }
        if (!stable_at && at > begin_at + 120) fail("join", "not stable after two minutes");
    }
}

static void run_commits(const char *host, int port, char **argv) {
    int partitions = atoi(argv[0]), in_flight = atoi(argv[2]), per_request = atoi(argv[3]);
    double seconds = atof(argv[4]);
    int64_t most = seconds < 0 ? (int64_t)-seconds * per_request : INT64_MAX;
    long acknowledged = 0;
    member_count = atoi(argv[1]);
    members = calloc(member_count, sizeof *members);
    for (int i = 0; i < member_count; i++) members[i].group = i, connect_to(&members[i], host, port);
    double begin_at = now(), cpu = own_cpu();
    struct epoll_event events[256];
    for (int stop = 0, waiting = 1; waiting || !stop;) {
        stop = seconds >= 0 && now() > begin_at + seconds, waiting = 0;
        for (int i = 0; i < member_count; i++) {
            Member *member = &members[i];
            int idle = member->in_flight <= in_flight / 2 && !stop && member->offset < most;
            while (idle && member->in_flight < in_flight && member->offset < most) commit(member, partitions, per_request);
            if (idle) flush_out(member);
            waiting |= member->in_flight > 0;
        }
        if (seconds < 0) stop = !waiting;
        int ready = epoll_wait(epoll, events, 256, 10);
        for (int i = 0; i < ready; i++) {
            Member *member = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush_out(member);
            if (events[i].events & (EPOLLIN | EPOLLHUP)) acknowledged += read_in(member, 1);
        }
    }
    double took = now() - begin_at;
    printf("{\"commits\":%ld,\"commits_per_s\":%.0f,\"requests_per_s\":%.0f,\"seconds\":%.3f,\"errors\":%ld,\"client_cpu_s\":%.3f}\n",
           acknowledged, acknowledged / took, requests / took, took, errors, own_cpu() - cpu);
}

int main(int argc, char **argv) {
    if (argc < 8) fail("usage", "join|next HOST PORT TOPIC GROUPS MEMBERS HOLD, or commit (see the source)");
    topic = argv[4];
    next_protocol = strcmp(argv[1], "next") == 0;
    epoll = epoll_create1(0);
    if (strcmp(argv[1], "commit") == 0 && argc == 10) run_commits(argv[2], atoi(argv[3]), argv + 5);
    else if (argc == 8) run_members(argv[2], atoi(argv[3]), atoi(argv[5]), atoi(argv[6]), atof(argv[7]));
    else fail("usage", "see the source");
    return errors ? 1 : 0;
}
