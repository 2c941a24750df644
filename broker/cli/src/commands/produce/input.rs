//! From lines to records.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ValueEnum;
use ottla_client::OutgoingRecord;
use serde_json::Value;
use std::io::BufRead;
use tokio::sync::mpsc;

/// Longest line, in bytes.
const LINE_BYTES: usize = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The value, or key and value.
    Text,
    /// An object.
    Json,
}

pub(super) struct LineReader {
    pub(super) template: OutgoingRecord,
    pub(super) format: Format,
    pub(super) key_separator: Option<String>,
    pub(super) null: Option<String>,
}

impl LineReader {
    pub(super) fn record(&self, line: Bytes) -> anyhow::Result<OutgoingRecord> {
        match self.format {
            Format::Text => self.text(line),
            Format::Json => self.json(&line),
        }
    }

    fn text(&self, line: Bytes) -> anyhow::Result<OutgoingRecord> {
        let mut record = self.template.clone();
        let mut value = line;
        if let Some(separator) = self.key_separator.as_deref().filter(|separator| !separator.is_empty()) {
            let at = value.windows(separator.len()).position(|window| window == separator.as_bytes());
            let Some(at) = at else { bail!("there is no {separator:?} between key and value") };
            let mut rest = value.split_off(at);
            record.key = Some(value);
            value = rest.split_off(separator.len());
        }
        let is_null = self.null.as_ref().is_some_and(|null| value == null.as_bytes());
        record.value = (!is_null).then_some(value);
        Ok(record)
    }

    fn json(&self, line: &[u8]) -> anyhow::Result<OutgoingRecord> {
        let object: Value = serde_json::from_slice(line).context("not JSON")?;
        let Value::Object(object) = object else { bail!("not a JSON object") };
        let mut record = self.template.clone();
        if let Some(key) = bytes_of(&object, "key")? {
            record.key = key;
        }
        record.value = bytes_of(&object, "value")?.flatten();
        if let Some(headers) = object.get("headers") {
            let Value::Array(headers) = headers else { bail!("headers must be an array of objects") };
            for header in headers {
                let Value::Object(header) = header else {
                    bail!("a header must be an object with name and value")
                };
                let name = header.get("name").and_then(Value::as_str).context("a header has no name")?;
                record.headers.push((name.to_owned(), bytes_of(header, "value")?.flatten()));
            }
        }
        if let Some(partition) = object.get("partition").filter(|_| record.partition.is_none()) {
            let partition = partition.as_i64().and_then(|index| i32::try_from(index).ok());
            record.partition = Some(partition.context("partition must be a number")?);
        }
        if let Some(timestamp) = object.get("timestamp").filter(|_| record.timestamp.is_none()) {
            record.timestamp = Some(timestamp.as_i64().context("timestamp must be milliseconds since 1970")?);
        }
        Ok(record)
    }
}

/// `name` as a string, or `name_base64`; `Some(None)` for null, `None` if it is not there.
fn bytes_of(object: &serde_json::Map<String, Value>, name: &str) -> anyhow::Result<Option<Option<Bytes>>> {
    if let Some(Value::String(encoded)) = object.get(&format!("{name}_base64")) {
        let bytes = STANDARD.decode(encoded).with_context(|| format!("{name}_base64 is not base64"))?;
        return Ok(Some(Some(bytes.into())));
    }
    Ok(match object.get(name) {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone().into())),
        Some(other) => Some(Some(other.to_string().into())),
    })
}

/// Lines of stdin without their ends, read by a thread of their own, a few ahead.
pub(super) fn lines() -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(1024);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut stdin, LINE_BYTES as u64).read_until(b'\n', &mut line);
            let sent = match read {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                        line.pop_if(|last| *last == b'\r');
                    }
                    sender.blocking_send(Ok(line.into()))
                }
                Err(error) => sender.blocking_send(Err(error)),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(format: Format) -> LineReader {
        let template = OutgoingRecord { topic: "t".to_owned(), ..OutgoingRecord::default() };
        LineReader { template, format, key_separator: Some(":".to_owned()), null: Some("NULL".to_owned()) }
    }

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        let record = reader(Format::Text).record("a:b:c".into()).unwrap();
        assert_eq!((record.key, record.value), (Some("a".into()), Some("b:c".into())));
        assert_eq!(reader(Format::Text).record("a:NULL".into()).unwrap().value, None);
        assert!(reader(Format::Text).record("abc".into()).is_err());
    }

    #[test]
    fn a_json_line_has_the_fields_of_a_record() {
        let line = r#"{"key":"k","value_base64":"AP8=","headers":[{"name":"h","value":null}],"partition":2}"#;
        let record = reader(Format::Json).record(line.into()).unwrap();
        assert_eq!(record.key, Some("k".into()));
        assert_eq!(record.value, Some(Bytes::from_static(&[0, 255])));
        assert_eq!(record.headers, [("h".to_owned(), None)]);
        assert_eq!(record.partition, Some(2));
        assert_eq!(reader(Format::Json).record(r#"{"value":null}"#.into()).unwrap().value, None);
        assert!(reader(Format::Json).record("[1]".into()).is_err());
    }
}
