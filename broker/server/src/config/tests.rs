use std::io::Write;

use super::*;

struct Given {
    sources: Sources,
    _file: Option<tempfile::NamedTempFile>,
}

fn given(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Given {
    let temporary = (!file.is_empty()).then(|| {
        let mut temporary = tempfile::NamedTempFile::with_suffix(".properties").unwrap();
        temporary.write_all(file.as_bytes()).unwrap();
        temporary
    });
    let sources = Sources {
        file: temporary.as_ref().map(|file| file.path().to_owned()),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    Given { sources, _file: temporary }
}

fn load(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<BrokerConfig, String> {
    BrokerConfig::load(&given(file, variables, flags).sources).map_err(|error| error.to_string())
}

#[test]
fn with_nothing_set_the_broker_is_local() {
    let config = load("", &[], &[]).unwrap();
    assert_eq!(config.node_id.0, 1);
    assert_eq!(config.listeners[0].to_string(), "PLAINTEXT://127.0.0.1:9092");
    assert_eq!(config.advertised_listeners, config.listeners);
    assert_eq!(config.inter_broker_listener, "PLAINTEXT");
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("./ottla-data")]);
    assert_eq!(config.http.unwrap().to_string(), "HTTP://127.0.0.1:9644");
    assert!(config.settings.without_effect().is_empty());
    assert_eq!(config.net.send_buffer_bytes, None);
}

#[test]
fn flags_beat_our_variables_beat_kafkas_beat_the_file() {
    let file = "num.partitions=1\nmin.insync.replicas=1\nmessage.max.bytes=1\ndefault.replication.factor=1\n";
    let variables = [
        ("KAFKA_MIN_INSYNC_REPLICAS", "2"),
        ("KAFKA_MESSAGE_MAX_BYTES", "2"),
        ("KAFKA_DEFAULT_REPLICATION_FACTOR", "2"),
        ("OTTLA_MESSAGE_MAX_BYTES", "3"),
        ("OTTLA_DEFAULT_REPLICATION_FACTOR", "3"),
    ];
    let config = load(file, &variables, &["default.replication.factor=4"]).unwrap();
    let keys = ["num.partitions", "min.insync.replicas", "message.max.bytes", "default.replication.factor"];
    assert_eq!(keys.map(|key| config.settings.number(key)), [1, 2, 3, 4]);
    assert_eq!(*config.settings.origin("default.replication.factor"), Origin::Flag);
    assert_eq!(
        config.settings.origin("message.max.bytes").to_string(),
        "environment variable OTTLA_MESSAGE_MAX_BYTES"
    );
}

#[test]
fn a_mistake_in_the_file_names_file_and_line() {
    let given = given("# comment\n\nnum.partitons=3\n", &[], &[]);
    let path = given.sources.file.clone().unwrap();
    let error = BrokerConfig::load(&given.sources).unwrap_err().to_string();
    let expected =
        format!("{}:3: unknown setting \"num.partitons\"; did you mean \"num.partitions\"?", path.display());
    assert_eq!(error, expected);
}

#[test]
fn bad_values_say_where_they_stand() {
    assert_eq!(load("", &[], &["num.partitions=many"]).unwrap_err().split(": ").next(), Some("command line"));
    let error = load("", &[("OTTLA_NODE_ID", "-3")], &[]).unwrap_err();
    assert!(error.starts_with("environment variable OTTLA_NODE_ID: node.id=-3: "), "{error}");
    assert_eq!(
        load("", &[], &["novalue"]).unwrap_err(),
        "command line: \"novalue\" is not of the form key=value"
    );
    let missing = Sources { file: Some("/does/not/exist.properties".into()), ..Sources::default() };
    let error = BrokerConfig::load(&missing).unwrap_err().to_string();
    assert!(error.starts_with("/does/not/exist.properties:1: cannot read the file"), "{error}");
}

#[test]
fn a_topics_setting_is_answered_with_the_brokers_name_for_it() {
    let error = load("", &[], &["segment.bytes=1048576"]).unwrap_err();
    assert_eq!(error, "command line: unknown setting \"segment.bytes\"; did you mean \"log.segment.bytes\"?");
}

#[test]
fn every_number_the_broker_asks_for_has_a_default() {
    let config = load("", &[], &[]).unwrap();
    config.num_partitions();
    config.default_replication_factor();
    config.replica_lag_time_max_ms();
    config.producer_id_expiration_ms();
    config.fetch_max_bytes();
    config.fetch_session_slots();
    config.retention_check_interval_ms();
    config.broker_heartbeat_interval_ms();
    config.broker_session_timeout_ms();
}

#[test]
fn of_two_lines_for_one_key_the_later_counts() {
    assert_eq!(
        load("num.partitions=1\nnum.partitions=2\n", &[], &[]).unwrap().settings.number("num.partitions"),
        2
    );
}

#[test]
fn a_usual_single_node_file_of_kafka_is_understood() {
    let file = "process.roles=broker,controller\nnode.id=7\ncontroller.listener.names=CONTROLLER\n\
                listeners=PLAINTEXT://:9092,CONTROLLER://:9093\nadvertised.listeners=PLAINTEXT://example:9092\n\
                listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
                num.io.threads=8\nlog.dirs=/a, /b\nsocket.send.buffer.bytes=102400\n";
    let config = load(file, &[], &[]).unwrap();
    assert_eq!(config.node_id.0, 7);
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.advertised_listeners.len(), 1);
    assert_eq!(config.advertised_listeners[0].host, "example");
    assert_eq!(config.log_dirs.len(), 2);
    assert_eq!(config.net.send_buffer_bytes, Some(102_400));
    let without: Vec<_> = config.settings.without_effect().into_iter().map(|setting| setting.key).collect();
    assert!(without.contains(&"num.io.threads".to_owned()), "{without:?}");
}

#[test]
fn contradictions_are_refused() {
    for (flags, reason) in [
        (&["node.id=1", "broker.id=2"][..], "must be the same as node.id"),
        (&["listeners=SSL://:1"], "only PLAINTEXT is supported"),
        (&["listeners=EXTERNAL://:1"], "has no protocol"),
        (&["advertised.listeners=OTHER://h:1"], "not the name of a listener"),
        (&["controller.listener.names=PLAINTEXT"], "clients need one"),
        (&["inter.broker.listener.name=X"], "is not the name"),
        (&["log.dirs=/a,/a"], "occurs twice"),
        (&["max.connections.per.ip.overrides=127.0.0.1"], "address:limit"),
    ] {
        let error = load("", &[], flags).unwrap_err();
        assert!(error.contains(reason), "{flags:?}: {error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn port_zero_becomes_the_port_listened_on() {
    let config =
        load("", &[], &["listeners=A://127.0.0.1:0", "listener.security.protocol.map=A:PLAINTEXT"]).unwrap();
    let bound = [crate::net::BoundListener::bind("A", "127.0.0.1", 0, 1).unwrap()];
    let config = config.with_bound_ports(&bound);
    assert_eq!(config.listeners[0].port, bound[0].address().port());
    assert_eq!(config.advertised_listeners, config.listeners);
}

#[test]
fn what_has_no_effect_is_one_line_with_its_place() {
    let config = load("", &[], &["num.io.threads=8"]).unwrap();
    assert_eq!(
        config.settings.without_effect()[0].to_string(),
        "command line: num.io.threads has no effect here"
    );
}

#[test]
fn limits_reach_the_network_layer() {
    let flags = [
        "max.connections.per.ip=5",
        "max.connections.per.ip.overrides=127.0.0.1:9",
        "connections.max.idle.ms=-1",
        "queued.max.request.bytes=1000000",
        "ottla.http.listener=",
    ];
    let config = load("", &[], &flags).unwrap();
    assert_eq!(config.net.max_connections_per_ip, 5);
    assert_eq!(config.net.max_connections_per_ip_overrides.values().collect::<Vec<_>>(), [&9]);
    assert_eq!(config.net.idle_timeout, None);
    assert_eq!(config.net.request_memory_bytes, 1_000_000);
    assert_eq!(config.http, None);
}
