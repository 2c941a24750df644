//! Three brokers as three processes: what was acknowledged survives the kill of a leader, and the loss of a disk.

#![allow(clippy::unwrap_used, reason = "a test fails where something is missing")]

use bytes::Bytes;
use ottla_client::{
    Admin, Client, ClientOptions, Consumer, ConsumerOptions, NewTopic, OutgoingRecord, PartitionDescription,
    Producer, ProducerOptions, Start,
};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TOPIC: &str = "ledger";
const PATIENCE: Duration = Duration::from_secs(60);

/// Three brokers on free ports of this machine; killed when dropped.
struct Brokers {
    dir: tempfile::TempDir,
    ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Brokers {
    fn start() -> Self {
        // All are taken at the same time, so that none comes twice.
        let taken: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(taken);
        let mut brokers = Self { dir: tempfile::tempdir().unwrap(), ports, running: vec![None, None, None] };
        (1..=3).for_each(|id| brokers.run(id));
        brokers
    }

    fn run(&mut self, id: usize) {
        // Built with the tests; they stand in `deps`, the example beside it.
        let program: PathBuf =
            std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/cluster_member");
        let voters: Vec<_> =
            self.ports.iter().enumerate().map(|(at, port)| format!("{}@127.0.0.1:{port}", at + 1)).collect();
        // The broker reads settings from there.
        let settings = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("OTTLA_"));
        let mut command = Command::new(program);
        settings.for_each(|name| _ = command.env_remove(name));
        let child = command
            .arg(format!("node.id={id}"))
            .arg(format!("log.dirs={}", self.data(id).display()))
            .arg(format!("listeners=PLAINTEXT://127.0.0.1:{}", self.ports[id - 1]))
            .arg(format!("controller.quorum.voters={}", voters.join(",")))
            .args(["ottla.http.listener=", "min.insync.replicas=2", "ottla.log.level=error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.running[id - 1] = Some(child);
    }

    fn data(&self, id: usize) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    fn kill(&mut self, id: usize) {
        let mut child = self.running[id - 1].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    async fn client(&self) -> Client {
        let bootstrap: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let connecting = async {
            loop {
                match Client::connect(&bootstrap.join(","), ClientOptions::default()).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, connecting).await.expect("a broker listens")
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn partition(admin: &Admin) -> Option<PartitionDescription> {
    let described = admin.describe_topics(&[TOPIC.to_owned()]).await.ok()?;
    described.into_iter().next()?.1.ok()?.partitions.into_iter().next()
}

async fn wait_for_replicas(admin: &Admin, in_sync: usize) -> PartitionDescription {
    let waiting = async {
        loop {
            match partition(admin).await.filter(|found| found.isr.len() == in_sync && found.leader > 0) {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the replicas come in sync")
}

async fn create_topic(admin: &Admin) {
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: Some(1),
        replication_factor: Some(3),
        assignments: Vec::new(),
        configs: vec![("min.insync.replicas".to_owned(), "2".to_owned())],
    };
    let creating = async {
        // Before the third broker is there, three replicas are refused.
        while admin.create_topics(std::slice::from_ref(&topic), false).await.unwrap()[0].1.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, creating).await.expect("the topic is created");
}

async fn produce(producer: &Producer, from: usize, to: usize) {
    for number in from..to {
        let record = OutgoingRecord {
            topic: TOPIC.to_owned(),
            partition: Some(0),
            key: None,
            value: Some(Bytes::from(number.to_string())),
            headers: Vec::new(),
            timestamp: None,
        };
        producer.send(record).await.unwrap().wait().await.unwrap();
    }
}

async fn read_all(client: Client, expected: usize) -> Vec<usize> {
    let mut consumer = Consumer::new(client, ConsumerOptions::default());
    consumer.assign(TOPIC, 0, Start::Beginning).await.unwrap();
    let mut read = Vec::new();
    let reading = async {
        while read.len() < expected {
            if let Some(fetched) = consumer.poll(Duration::from_millis(200)).await.unwrap() {
                let values = fetched.records.into_iter().filter_map(|record| record.value);
                read.extend(
                    values.map(|value| std::str::from_utf8(&value).unwrap().parse::<usize>().unwrap()),
                );
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_killed_leaders_and_a_lost_disk() {
    let mut brokers = Brokers::start();
    let client = brokers.client().await;
    let admin = Admin::new(client.clone());
    create_topic(&admin).await;
    let producer = Producer::new(client.clone(), ProducerOptions::default()).await.unwrap();
    produce(&producer, 0, 100).await;

    let first = wait_for_replicas(&admin, 3).await.leader;
    brokers.kill(first as usize);
    produce(&producer, 100, 200).await;
    let second = wait_for_replicas(&admin, 2).await.leader;
    assert_ne!(second, first);

    // It comes back with nothing on its disk and is filled again, before the other leader dies.
    std::fs::remove_dir_all(brokers.data(first as usize)).unwrap();
    brokers.run(first as usize);
    wait_for_replicas(&admin, 3).await;
    brokers.kill(second as usize);
    produce(&producer, 200, 300).await;

    let read = read_all(client, 300).await;
    assert_eq!(read.iter().copied().collect::<BTreeSet<_>>().len(), read.len(), "no record came twice");
    assert_eq!(read, (0..300).collect::<Vec<_>>(), "every record is there, in order");
}
