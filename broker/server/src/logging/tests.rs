use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::config::{BrokerConfig, Sources};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
    }
}

fn with_logs(format: LogFormat, level: &str, test: impl FnOnce(&Levels, &Lines)) {
    let lines = Lines::default();
    let (levels, filter) = Levels::new(level).unwrap();
    let subscriber = tracing_subscriber::registry().with(filter).with(output(format, lines.clone()));
    tracing::subscriber::with_default(subscriber, || test(&levels, &lines));
}

#[test]
fn levels_change_while_logs_are_written() {
    with_logs(LogFormat::Text, "warn", |levels, lines| {
        tracing::info!("hidden");
        assert_eq!(lines.take(), "");
        levels.set("info").unwrap();
        tracing::info!("shown");
        assert!(lines.take().contains("shown"));
        levels.set_target("quiet", Some("ERROR")).unwrap();
        tracing::info!(target: "quiet::inner", "hidden");
        assert_eq!(lines.take(), "");
        assert_eq!(levels.current(), "info,quiet=error");
        levels.set_target("quiet", None).unwrap();
        levels.set_target("root", Some("debug")).unwrap();
        tracing::debug!(target: "quiet", "shown");
        assert!(lines.take().contains("shown"));
        assert_eq!(levels.targets().get("root").map(String::as_str), Some("debug"));
    });
}

#[test]
fn malformed_levels_change_nothing() {
    with_logs(LogFormat::Text, "info", |levels, _| {
        for text in ["loud", "info,x=loud", "=info"] {
            assert!(levels.set(text).is_err(), "{text}");
        }
        assert!(levels.set_target("x", Some("loud")).is_err());
        assert_eq!(levels.current(), "info");
    });
}

#[test]
fn json_logs_are_one_object_a_line() {
    with_logs(LogFormat::Json, "info", |_, lines| {
        tracing::warn!(partition = 3, "torn \"tail\"\nremoved");
        let text = lines.take();
        assert_eq!(text.lines().count(), 1);
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["level"], "WARN");
        assert_eq!(event["partition"], 3);
        assert_eq!(event["message"], "torn \"tail\"\nremoved");
    });
}

#[test]
fn the_first_screen_says_where_what_is_and_how_to_try_it() {
    let config = BrokerConfig::load(&Sources::default()).unwrap();
    let http = Some("127.0.0.1:9644".parse().unwrap());
    let text = banner(&Banner { config: &config, cluster_id: "abcDEF", http });
    for expected in [
        "clients     127.0.0.1:9092\n",
        "http        http://127.0.0.1:9644",
        "data        ./ottla-data\n",
        "cluster id  abcDEF\n",
        "broker id   1\n",
        "kcat -b 127.0.0.1:9092 -C",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}
