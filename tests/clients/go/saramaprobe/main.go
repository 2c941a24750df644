// saramaprobe exercises the broker with sarama: one command per run, exit code 0 when all was as it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

var (
	bootstrap = flag.String("bootstrap", "127.0.0.1:9092", "host:port")
	topic     = flag.String("topic", "", "topic")
	group     = flag.String("group", "", "group, for the group command")
	count     = flag.Int("count", 500, "records")
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: saramaprobe roundtrip|admin|group [flags]"))
	}
	command := os.Args[1]
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	commands := map[string]func() error{"roundtrip": roundtrip, "admin": admin, "group": consumeAsGroup}
	run, known := commands[command]
	if !known {
		fail(fmt.Errorf("no such command: %s", command))
	}
	if err := run(); err != nil {
		fail(err)
	}
	fmt.Println("OK")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "saramaprobe:", err)
	os.Exit(1)
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

// roundtrip produces with each codec and with idempotence, and reads everything back in order.
func roundtrip() error {
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range codecs {
		if err := produce(codec); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
	}
	consumer, err := sarama.NewConsumer([]string{*bootstrap}, config())
	if err != nil {
		return err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(*topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer partition.Close()
	for _, codec := range codecs {
		for i := range *count {
			select {
			case message := <-partition.Messages():
				if want := text(codec, i); string(message.Value) != want || string(message.Headers[0].Value) != want {
					return fmt.Errorf("offset %d: %q instead of %q", message.Offset, message.Value, want)
				}
			case <-time.After(20 * time.Second):
				return fmt.Errorf("no record %s", text(codec, i))
			}
		}
	}
	return nil
}

func text(codec sarama.CompressionCodec, i int) string { return fmt.Sprintf("%s-%d", codec, i) }

func produce(codec sarama.CompressionCodec) error {
	config := config()
	config.Producer.Compression = codec
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{*bootstrap}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, 0, *count)
	for i := range *count {
		value := text(codec, i)
		headers := []sarama.RecordHeader{{Key: []byte("id"), Value: []byte(value)}}
		messages = append(messages, &sarama.ProducerMessage{Topic: *topic, Value: sarama.StringEncoder(value), Headers: headers})
	}
	return producer.SendMessages(messages)
}

// admin creates, describes, changes and deletes a topic, deletes records, and asks for the cluster and its log dirs.
func admin() error {
	admin, err := sarama.NewClusterAdmin([]string{*bootstrap}, config())
	if err != nil {
		return err
	}
	defer admin.Close()
	retention := "60000"
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}
	if err := admin.CreateTopic(*topic, detail, false); err != nil {
		return err
	}
	if err := admin.CreateTopic(*topic, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("creating twice: %v", err)
	}
	time.Sleep(500 * time.Millisecond)
	if err := produce(sarama.CompressionNone); err != nil {
		return err
	}
	if err := admin.DeleteRecords(*topic, map[int32]int64{0: 10}); err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	if err := admin.CreatePartitions(*topic, 3, nil, false); err != nil {
		return fmt.Errorf("create partitions: %w", err)
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: *topic, ConfigNames: []string{"retention.ms"}})
	if err != nil || len(entries) != 1 || entries[0].Value != "60000" {
		return fmt.Errorf("describe config: %v %+v", err, entries)
	}
	brokers, controller, err := admin.DescribeCluster()
	if err != nil || len(brokers) != 1 || controller != brokers[0].ID() {
		return fmt.Errorf("cluster: %v", err)
	}
	if dirs, err := admin.DescribeLogDirs([]int32{controller}); err != nil || len(dirs[controller]) == 0 {
		return fmt.Errorf("log dirs: %v", err)
	}
	return admin.DeleteTopic(*topic)
}

type handler struct {
	seen   atomic.Int64
	finish func()
}

func (h *handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			if h.seen.Add(1) >= int64(*count) {
				session.Commit()
				h.finish()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// consumeAsGroup reads the whole topic as two members of one group.
func consumeAsGroup() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	handler := &handler{finish: cancel}
	failed := make(chan error, 2)
	for range 2 {
		member, err := sarama.NewConsumerGroup([]string{*bootstrap}, *group, config())
		if err != nil {
			return err
		}
		go func() {
			defer member.Close()
			for ctx.Err() == nil {
				if err := member.Consume(ctx, []string{*topic}, handler); err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 2 {
		if err := <-failed; err != nil {
			return err
		}
	}
	if got := handler.seen.Load(); got < int64(*count) {
		return fmt.Errorf("%d of %d records seen", got, *count)
	}
	return nil
}
