//! The commands against a broker of their own, as somebody at a terminal would use them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");

/// A broker on a free port, gone with its data when this is dropped.
struct Broker {
    process: Child,
    /// Closed only when the broker is gone: it may have more to say.
    _stdout: BufReader<ChildStdout>,
    address: String,
    data: tempfile::TempDir,
}

impl Broker {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(OTTLA)
            .args([
                "broker",
                "--listen",
                "127.0.0.1:0",
                "--http",
                "none",
                "--log-level",
                "warn",
                "--data-dir",
            ])
            .arg(data.path().join("data"))
            .args(["--set", "offsets.topic.num.partitions=3", "--set", "group.initial.rebalance.delay.ms=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let address = stdout
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix("clients").map(|rest| rest.trim().to_owned()))
            .expect("the broker says where it listens");
        Self { process, _stdout: stdout, address, data }
    }

    fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut process = Command::new(OTTLA)
            .args(args)
            .env("OTTLA_BOOTSTRAP", &self.address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    }

    /// What a command prints, which must succeed.
    fn ok_with(&self, args: &[&str], input: &str) -> String {
        let output = self.run_with(args, input);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "ottla {}: {error}", args.join(" "));
        out.into_owned()
    }

    fn ok(&self, args: &[&str]) -> String {
        self.ok_with(args, "")
    }

    /// What a command says when it fails, which it must.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run_with(args, "");
        assert_eq!(output.status.code(), Some(1), "ottla {}", args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_topic_is_made_filled_read_and_deleted() {
    let broker = Broker::start();
    assert!(
        broker.ok(&["topic", "create", "orders", "-p", "2"]).starts_with("orders: created, 2 partitions")
    );
    broker.ok(&["produce", "orders", "-p", "0", "-k", "key", "-H", "trace=abc", "first", "second"]);
    broker.ok_with(&["produce", "orders", "-p", "1", "--key-separator", ":"], "a:third\nb:fourth\n");
    let read = broker.ok(&[
        "consume",
        "orders",
        "--from-beginning",
        "--until-end",
        "--keys",
        "--headers",
        "--offsets",
    ]);
    let mut lines: Vec<_> = read.lines().collect();
    lines.sort_unstable();
    let expected =
        ["0:0\ttrace=abc\tkey\tfirst", "0:1\ttrace=abc\tkey\tsecond", "1:0\t\ta\tthird", "1:1\t\tb\tfourth"];
    assert_eq!(lines, expected);
    assert_eq!(
        broker.ok(&["consume", "orders", "-p", "1", "--from", "-1", "-e", "-f", "%k=%v%%"]),
        "b=fourth%"
    );
    assert_eq!(broker.ok(&["topic", "list", "--names"]), "orders\n");
    assert_eq!(broker.ok(&["topic", "delete", "orders", "--yes"]), "orders: deleted\n");
    assert_eq!(broker.ok(&["topic", "list", "--names"]), "");
}

#[test]
fn every_codec_brings_back_what_was_sent() {
    let broker = Broker::start();
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.ok(&["topic", "create", codec]);
        broker.ok_with(&["produce", codec, "-z", codec], &lines);
        assert_eq!(broker.ok(&["consume", codec, "--from-beginning", "-e"]), lines, "{codec}");
        let log = broker.data.path().join("data").join(format!("{codec}-0"));
        let verified = broker.ok(&["log", "dump", log.to_str().unwrap(), "--verify"]);
        assert!(verified.contains("5000 records"), "{verified}");
    }
}

#[test]
fn json_that_was_read_can_be_sent() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "a", "b"]);
    let sent = r#"{"key":"k","value_base64":"AP8=","headers":[{"name":"h","value":null}],"timestamp":1000}"#;
    broker.ok_with(&["produce", "a", "-f", "json"], sent);
    let read = broker.ok(&["consume", "a", "--from-beginning", "-e", "-f", "json"]);
    broker.ok_with(&["produce", "b", "-f", "json"], &read);
    let again = broker.ok(&["consume", "b", "--from-beginning", "-e", "-f", "json"]);
    assert_eq!(again, read.replace(r#""topic":"a""#, r#""topic":"b""#));
    assert!(read.contains(r#""value_base64":"AP8=""#) && read.contains(r#""timestamp":1000"#), "{read}");
}

#[test]
fn settings_are_set_shown_and_taken_back() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders", "-c", "retention.ms=1000000"]);
    assert!(
        broker.ok(&["config", "get", "topic/orders"]).contains("retention.ms  1000000  DYNAMIC_TOPIC_CONFIG")
    );
    broker.ok(&["config", "set", "topic/orders", "max.message.bytes=1000"]);
    let big = broker.run_with(&["produce", "orders", &"x".repeat(2000)], "");
    assert!(String::from_utf8_lossy(&big.stderr).contains("MESSAGE_TOO_LARGE"));
    broker.ok(&["config", "delete", "topic/orders", "retention.ms", "max.message.bytes"]);
    assert_eq!(broker.ok(&["config", "get", "topic/orders"]), "");
    assert!(
        broker.refused(&["config", "set", "topic/orders", "retention.ms=soon"]).contains("INVALID_CONFIG")
    );
    let unknown = broker.refused(&["config", "get", "topic/orders", "retention"]);
    assert!(unknown.contains("ottla config keys"), "{unknown}");
}

#[test]
fn a_groups_offsets_are_moved_shown_and_deleted() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders"]);
    broker.ok(&["produce", "orders", "a", "b", "c"]);
    let plan = ["group", "reset-offsets", "app", "--topic", "orders", "--to-latest"];
    broker.ok(&plan);
    assert_eq!(broker.ok(&["group", "list", "app"]), "", "a plan changes nothing");
    broker.ok(&[&plan[..], &["--execute"]].concat());
    broker.ok(&["group", "reset-offsets", "app", "--all-topics", "--shift-by", "-2", "--execute"]);
    let described = broker.ok(&["group", "describe", "app", "-o", "json"]);
    assert!(described.contains("\"lag\": 2") && described.contains("\"committed_offset\": 1"), "{described}");
    assert_eq!(broker.ok(&["group", "delete", "app"]), "app: deleted\n");
    assert!(broker.refused(&["group", "describe", "app"]).contains("GROUP_ID_NOT_FOUND"));
}

#[test]
fn errors_say_what_to_do() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders"]);
    let exists = broker.refused(&["topic", "create", "orders"]);
    assert!(exists.contains("--if-not-exists"), "{exists}");
    let missing = broker.refused(&["consume", "nope"]);
    assert!(missing.contains("ottla topic list"), "{missing}");
    let replicas = broker.refused(&["topic", "create", "many", "-r", "3"]);
    assert!(replicas.contains("ottla cluster info"), "{replicas}");
    let unconfirmed = broker.refused(&["topic", "delete", "orders"]);
    assert!(unconfirmed.contains("--yes"), "{unconfirmed}");
    let misspelt = broker.refused(&["topic", "create", "other", "-c", "retention=1"]);
    assert!(misspelt.contains("retention is no setting"), "{misspelt}");
}

#[test]
fn no_broker_is_an_exit_code_of_its_own() {
    let output = Command::new(OTTLA).args(["topic", "list", "-b", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ottla broker"));
}

#[test]
fn a_damaged_segment_is_found() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders"]);
    broker.ok(&["produce", "orders", "something to damage"]);
    let segment = broker.data.path().join("data/orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let copy = broker.data.path().join("00000000000000000000.log");
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let found = broker.refused(&["log", "dump", copy.to_str().unwrap()]);
    assert!(found.contains("1 problem found"), "{found}");
    let whole = broker.ok(&["log", "dump", segment.to_str().unwrap(), "--records"]);
    assert!(whole.contains("value \"something to damage\""), "{whole}");
}

#[test]
fn a_soak_proves_that_every_acknowledged_record_is_there() {
    let broker = Broker::start();
    let soak =
        ["soak", "steady", "--partitions", "2", "--rate", "300", "--seconds", "1", "--delete", "-o", "json"];
    let printed = broker.ok(&soak);
    let verdict: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&verdict["verdict"], &verdict["lost"], &verdict["failed"]),
        (&"ok".into(), &0.into(), &0.into())
    );
    assert!(verdict["acknowledged"].as_u64().unwrap() > 0);
    assert_eq!(broker.ok(&["topic", "list", "--names"]), "", "the topic was deleted");
    assert!(broker.refused(&["soak", "nowhere", "--seconds", "1"]).contains("nowhere"));
}
