// franz exercises the broker with franz-go: one command per run, exit code 0 when all was as it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	bootstrap = flag.String("bootstrap", "127.0.0.1:9092", "host:port")
	topic     = flag.String("topic", "", "topic")
	group     = flag.String("group", "", "group, for the group commands")
	count     = flag.Int("count", 1000, "records")
	members   = flag.Int("members", 3, "members of the group")
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: franz roundtrip|admin|group|group-next [flags]"))
	}
	command := os.Args[1]
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	var err error
	switch command {
	case "roundtrip":
		err = roundtrip(ctx)
	case "admin":
		err = admin(ctx)
	case "group":
		err = consumeAsGroup(ctx, false)
	case "group-next":
		err = consumeAsGroup(ctx, true)
	default:
		err = fmt.Errorf("no such command: %s", command)
	}
	if err != nil {
		fail(err)
	}
	fmt.Println("OK")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "franz:", err)
	os.Exit(1)
}

func client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(*bootstrap)}, options...)...)
}

// roundtrip produces with each codec, idempotently, and reads everything back from the start.
func roundtrip(ctx context.Context) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	sent := map[string]bool{}
	for name, codec := range codecs {
		if err := produce(ctx, name, codec, sent); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	reader, err := client(kgo.ConsumeTopics(*topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer reader.Close()
	for len(sent) > 0 {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d records missing: %w", len(sent), err)
		}
		for _, record := range fetches.Records() {
			id := string(record.Key)
			if !sent[id] {
				return fmt.Errorf("%s came twice or was never sent", id)
			}
			if len(record.Headers) != 1 || string(record.Headers[0].Value) != id || string(record.Value) != "value of "+id {
				return fmt.Errorf("%s came back changed", id)
			}
			delete(sent, id)
		}
	}
	return nil
}

func produce(ctx context.Context, name string, codec kgo.CompressionCodec, sent map[string]bool) error {
	writer, err := client(kgo.DefaultProduceTopic(*topic), kgo.ProducerBatchCompression(codec))
	if err != nil {
		return err
	}
	defer writer.Close()
	records := make([]*kgo.Record, 0, *count)
	for i := range *count {
		id := fmt.Sprintf("%s-%d", name, i)
		sent[id] = true
		header := kgo.RecordHeader{Key: "id", Value: []byte(id)}
		records = append(records, &kgo.Record{Key: []byte(id), Value: []byte("value of " + id), Headers: []kgo.RecordHeader{header}})
	}
	return writer.ProduceSync(ctx, records...).FirstErr()
}

// admin creates, describes, changes and deletes a topic, and asks about offsets and the cluster.
func admin(ctx context.Context) error {
	plain, err := client()
	if err != nil {
		return err
	}
	defer plain.Close()
	admin := kadm.NewClient(plain)
	if _, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": kadm.StringPtr("60000")}, *topic); err != nil {
		return err
	}
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, *topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating twice: %v", err)
	}
	if err := eventually(ctx, func() error {
		offsets, err := admin.ListEndOffsets(ctx, *topic)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil && len(offsets[*topic]) != 2 {
			err = fmt.Errorf("%d partitions", len(offsets[*topic]))
		}
		return err
	}); err != nil {
		return fmt.Errorf("end offsets: %w", err)
	}
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("1048576")}}
	if _, err := admin.AlterTopicConfigs(ctx, set, *topic); err != nil {
		return fmt.Errorf("alter: %w", err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, *topic)
	if err != nil {
		return err
	}
	if got := value(configs, "segment.bytes"); got != "1048576" {
		return fmt.Errorf("segment.bytes is %s", got)
	}
	if answers, err := admin.CreatePartitions(ctx, 1, *topic); err != nil || answers.Error() != nil {
		return fmt.Errorf("create partitions: %v %v", err, answers.Error())
	}
	metadata, err := admin.BrokerMetadata(ctx)
	if err != nil || len(metadata.Brokers) != 1 || metadata.Cluster == "" {
		return fmt.Errorf("metadata: %v %+v", err, metadata)
	}
	if dirs, err := admin.DescribeAllLogDirs(ctx, nil); err != nil || len(dirs) != 1 {
		return fmt.Errorf("log dirs: %v %v", err, dirs)
	}
	_, err = admin.DeleteTopic(ctx, *topic)
	return err
}

func value(configs kadm.ResourceConfigs, key string) string {
	for _, entry := range configs[0].Configs {
		if entry.Key == key {
			return entry.MaybeValue()
		}
	}
	return ""
}

func eventually(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// consumeAsGroup lets several members of one group read the topic, the first of them leaving half-way.
func consumeAsGroup(ctx context.Context, next bool) error {
	var seen atomic.Int64
	failed := make(chan error, *members)
	done, finish := context.WithCancel(ctx)
	defer finish()
	for member := range *members {
		go func() { failed <- consumeAsMember(done, member == 0, next, &seen, finish) }()
	}
	for range *members {
		if err := <-failed; err != nil {
			return err
		}
	}
	if got := seen.Load(); got < int64(*count) {
		return fmt.Errorf("%d of %d records seen", got, *count)
	}
	return nil
}

func consumeAsMember(done context.Context, leavesEarly, next bool, seen *atomic.Int64, finish func()) error {
	ctx := context.WithoutCancel(done)
	options := []kgo.Opt{
		kgo.ConsumerGroup(*group), kgo.ConsumeTopics(*topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(),
	}
	if next {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	member, err := client(options...)
	if err != nil {
		return err
	}
	defer member.Close()
	for done.Err() == nil {
		poll, cancel := context.WithTimeout(done, time.Second)
		fetches := member.PollFetches(poll)
		cancel()
		for _, failure := range fetches.Errors() {
			if !errors.Is(failure.Err, context.DeadlineExceeded) && !errors.Is(failure.Err, context.Canceled) {
				return failure.Err
			}
		}
		if records := fetches.Records(); len(records) > 0 {
			if err := member.CommitRecords(ctx, records...); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
			if seen.Add(int64(len(records))) >= int64(*count) {
				finish()
			}
			if leavesEarly {
				member.AllowRebalance()
				return nil
			}
		}
		member.AllowRebalance()
	}
	return nil
}
