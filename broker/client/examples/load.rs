//! This client's part of the load of `tests/chaos`: `load BOOTSTRAP TOPIC PARTITIONS JOURNAL`.
//!
//! An idempotent producer and a reader of everything note each attempt, answer and poll, one JSON object a line.
//! `up` is said after the first acknowledgement. A line on standard input ends the producer (answered with `drained`),
//! its end ends the reader.

use ottla_client::{
    Client, ClientError, ClientOptions, Consumer, ConsumerOptions, Fetched, OutgoingRecord, Producer,
    ProducerOptions, Start,
};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PRODUCER: &str = "ottla-idempotent";
const READER: &str = "ottla-reader";
const SENDING: u8 = 0;
const DRAINING: u8 = 1;
const STOPPING: u8 = 2;
const PAUSE: Duration = Duration::from_millis(20);

struct Job {
    bootstrap: String,
    topic: String,
    partitions: i32,
    journal: Mutex<BufWriter<File>>,
    phase: AtomicU8,
    is_up: AtomicBool,
}

impl Job {
    fn note(&self, client: &str, op: &str, fields: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let line = writeln!(journal, "{{\"t\":{now:.4},\"client\":\"{client}\",\"op\":\"{op}\"{fields}}}");
        line.expect("the journal can be written");
    }

    fn is_before(&self, phase: u8) -> bool {
        self.phase.load(Ordering::SeqCst) < phase
    }

    /// A client, however long it takes to get one; none once the phase has come.
    async fn connect(&self, until: u8) -> Option<Client> {
        while self.is_before(until) {
            match Client::connect(&self.bootstrap, ClientOptions::default()).await {
                Ok(client) => return Some(client),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        None
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, bootstrap, topic, partitions, journal] = arguments.as_slice() else {
        panic!("load BOOTSTRAP TOPIC PARTITIONS JOURNAL")
    };
    let job = Arc::new(Job {
        bootstrap: bootstrap.clone(),
        topic: topic.clone(),
        partitions: partitions.parse().expect("a number of partitions"),
        journal: Mutex::new(BufWriter::new(File::create(journal).expect("a journal that can be created"))),
        phase: AtomicU8::new(SENDING),
        is_up: AtomicBool::new(false),
    });
    let (for_producer, for_reader) = (Arc::clone(&job), Arc::clone(&job));
    let producer = std::thread::spawn(|| runtime().block_on(produce(for_producer)));
    let reader = std::thread::spawn(|| runtime().block_on(read(for_reader)));
    for _ in std::io::stdin().lock().lines() {
        job.phase.store(DRAINING, Ordering::SeqCst);
        while !producer.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("drained");
    }
    job.phase.store(STOPPING, Ordering::SeqCst);
    producer.join().expect("the producer ends");
    reader.join().expect("the reader ends");
    job.journal.lock().unwrap_or_else(PoisonError::into_inner).flush().expect("the journal can be written");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn produce(job: Arc<Job>) {
    let mut session = 0;
    while let Some(client) = job.connect(DRAINING).await {
        let Ok(producer) = Producer::new(client, ProducerOptions::default()).await else { continue };
        session += 1;
        send_all(&job, &producer, &format!("{PRODUCER}.{session}")).await;
        producer.flush().await;
    }
    // Outcomes are noted by tasks of their own, which are woken by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Sends to the partitions in turn until it is time to end.
async fn send_all(job: &Arc<Job>, producer: &Producer, sender: &str) {
    job.note(PRODUCER, "open", &format!(",\"sender\":\"{sender}\",\"idempotent\":true"));
    let mut number: i32 = 0;
    while job.is_before(DRAINING) {
        let partition = number % job.partitions;
        let fields = format!(",\"s\":\"{sender}\",\"n\":{number},\"p\":{partition}");
        job.note(PRODUCER, "send", &fields);
        let record = OutgoingRecord {
            topic: job.topic.clone(),
            partition: Some(partition),
            value: Some(format!("{sender}:{number}:{}", ".".repeat(100)).into()),
            ..OutgoingRecord::default()
        };
        match producer.send(record).await {
            Ok(delivery) => {
                let job = Arc::clone(job);
                tokio::spawn(async move {
                    match delivery.wait().await {
                        Ok(delivered) => {
                            job.note(PRODUCER, "ack", &format!("{fields},\"o\":{}", delivered.offset));
                            if !job.is_up.swap(true, Ordering::SeqCst) {
                                println!("up");
                            }
                        }
                        Err(error) => job.note(PRODUCER, "unknown", &format!("{fields}{}", quoted(&error))),
                    }
                });
            }
            Err(error) => job.note(PRODUCER, "fail", &format!("{fields}{}", quoted(&error))),
        }
        number += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

fn quoted(error: &ClientError) -> String {
    format!(",\"e\":\"{}\"", error.to_string().replace(['"', '\\', '\n'], " "))
}

async fn read(job: Arc<Job>) {
    let Some(client) = job.connect(STOPPING).await else { return };
    let mut consumer = Consumer::new(client, ConsumerOptions::default());
    for partition in 0..job.partitions {
        if let Err(error) = consumer.assign(&job.topic, partition, Start::Offset(0)).await {
            job.note(READER, "trouble", &quoted(&error));
        }
    }
    let all: Vec<_> = (0..job.partitions).collect();
    job.note(READER, "assigned", &format!(",\"p\":{all:?}"));
    while job.is_before(STOPPING) {
        match consumer.poll(Duration::from_millis(500)).await {
            Ok(Some(fetched)) => job.note(READER, "poll", &polled(&fetched)),
            Ok(None) => {}
            Err(error) => {
                job.note(READER, "trouble", &quoted(&error));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn polled(fetched: &Fetched) -> String {
    let mut fields = format!(",\"p\":{},\"r\":[", fetched.partition);
    for (index, record) in fetched.records.iter().enumerate() {
        let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        let id = value.rsplit_once(':').map_or("", |(id, _)| id);
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(fields, "{comma}[{},\"{id}\"]", record.offset);
    }
    fields + "]"
}
