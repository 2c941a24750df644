//! How a record is printed.

use crate::output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_client::FetchedRecord;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// What a record becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Template(Vec<Piece>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    Headers,
    Timestamp,
    Date,
    KeyBytes,
    ValueBytes,
}

/// Reads `text`, `json` or a template.
pub(super) fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        template if template.contains('%') => pieces(template).map(Format::Template),
        _ => Err("must be text, json or a template such as '%k %v\\n'".to_owned()),
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let mut chars = template.chars();
    while let Some(next) = chars.next() {
        let piece = match (next, chars.clone().next()) {
            ('%', Some('%')) | ('\\', Some('\\')) => {
                literal.push(next as u8);
                None
            }
            ('\\', Some(escaped @ ('n' | 't' | 'r' | '0'))) => {
                literal.push(match escaped {
                    'n' => b'\n',
                    't' => b'\t',
                    'r' => b'\r',
                    _ => 0,
                });
                None
            }
            ('%', Some(name)) => Some(piece(name)?),
            ('%', None) => return Err("a template cannot end with %; %% is a percent sign".to_owned()),
            _ => {
                literal.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        chars.next();
        if let Some(piece) = piece {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn piece(name: char) -> Result<Piece, String> {
    Ok(match name {
        't' => Piece::Topic,
        'p' => Piece::Partition,
        'o' => Piece::Offset,
        'k' => Piece::Key,
        'v' | 's' => Piece::Value,
        'h' => Piece::Headers,
        'T' => Piece::Timestamp,
        'd' => Piece::Date,
        'K' => Piece::KeyBytes,
        'V' | 'S' => Piece::ValueBytes,
        other => return Err(format!("%{other} is not known; see --help")),
    })
}

pub(super) struct Renderer {
    pub(super) format: Format,
    pub(super) keys: bool,
    pub(super) headers: bool,
    pub(super) offsets: bool,
    pub(super) timestamps: bool,
    pub(super) null: String,
}

impl Renderer {
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        partition: i32,
        record: &FetchedRecord,
    ) -> io::Result<()> {
        match &self.format {
            Format::Text => self.text(out, partition, record),
            Format::Json => {
                serde_json::to_writer(&mut *out, &as_json(topic, partition, record))?;
                out.write_all(b"\n")
            }
            Format::Template(pieces) => {
                pieces.iter().try_for_each(|piece| self.piece(out, piece, (topic, partition), record))
            }
        }
    }

    fn text(&self, out: &mut impl Write, partition: i32, record: &FetchedRecord) -> io::Result<()> {
        if self.timestamps {
            write!(out, "{}\t", output::time(record.timestamp))?;
        }
        if self.offsets {
            write!(out, "{partition}:{}\t", record.offset)?;
        }
        if self.headers {
            self.headers(out, record)?;
            out.write_all(b"\t")?;
        }
        if self.keys {
            self.bytes(out, record.key.as_ref())?;
            out.write_all(b"\t")?;
        }
        self.bytes(out, record.value.as_ref())?;
        out.write_all(b"\n")
    }

    fn piece(
        &self,
        out: &mut impl Write,
        piece: &Piece,
        (topic, partition): (&str, i32),
        record: &FetchedRecord,
    ) -> io::Result<()> {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
        match piece {
            Piece::Literal(bytes) => out.write_all(bytes),
            Piece::Topic => out.write_all(topic.as_bytes()),
            Piece::Partition => write!(out, "{partition}"),
            Piece::Offset => write!(out, "{}", record.offset),
            Piece::Key => self.bytes(out, record.key.as_ref()),
            Piece::Value => self.bytes(out, record.value.as_ref()),
            Piece::Headers => self.headers(out, record),
            Piece::Timestamp => write!(out, "{}", record.timestamp),
            Piece::Date => out.write_all(output::time(record.timestamp).as_bytes()),
            Piece::KeyBytes => write!(out, "{}", length(&record.key)),
            Piece::ValueBytes => write!(out, "{}", length(&record.value)),
        }
    }

    fn bytes(&self, out: &mut impl Write, bytes: Option<&Bytes>) -> io::Result<()> {
        out.write_all(bytes.map_or(self.null.as_bytes(), |bytes| bytes))
    }

    fn headers(&self, out: &mut impl Write, record: &FetchedRecord) -> io::Result<()> {
        for (index, (name, value)) in record.headers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{name}=")?;
            self.bytes(out, value.as_ref())?;
        }
        Ok(())
    }
}

fn as_json(topic: &str, partition: i32, record: &FetchedRecord) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), topic.into());
    object.insert("partition".to_owned(), partition.into());
    object.insert("offset".to_owned(), record.offset.into());
    object.insert("timestamp".to_owned(), record.timestamp.into());
    insert(&mut object, "key", record.key.as_ref());
    insert(&mut object, "value", record.value.as_ref());
    let header = |(name, value): &(String, Option<Bytes>)| {
        let mut header = Map::new();
        header.insert("name".to_owned(), json!(name));
        insert(&mut header, "value", value.as_ref());
        Value::Object(header)
    };
    object.insert("headers".to_owned(), record.headers.iter().map(header).collect());
    Value::Object(object)
}

/// Text as it is; what is not text, in base64 under a name that says so.
fn insert(object: &mut Map<String, Value>, name: &str, bytes: Option<&Bytes>) {
    match bytes.map(|bytes| std::str::from_utf8(bytes)) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), text.into()),
        Some(Err(_)) => {
            let encoded = STANDARD.encode(bytes.map_or(&[][..], |bytes| bytes));
            object.insert(format!("{name}_base64"), encoded.into())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> FetchedRecord {
        FetchedRecord {
            offset: 7,
            timestamp: 1000,
            key: Some("k".into()),
            value: None,
            headers: vec![("h".to_owned(), Some(Bytes::from_static(&[0xff])))],
        }
    }

    fn rendered(text: &str) -> String {
        let renderer = Renderer {
            format: format(text).unwrap(),
            keys: true,
            headers: false,
            offsets: true,
            timestamps: false,
            null: "-".to_owned(),
        };
        let mut out = Vec::new();
        renderer.write(&mut out, "t", 3, &record()).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn text_has_what_was_asked_for() {
        assert_eq!(rendered("text"), "3:7\tk\t-\n");
    }

    #[test]
    fn templates_are_filled_in() {
        assert_eq!(rendered("%t/%p@%o %k=%v%% %K %V\\n"), "t/3@7 k=-% 1 -1\n");
        assert!(format("%q").is_err());
        assert!(format("plain").is_err());
        assert!(format("100%").is_err());
    }

    #[test]
    fn json_has_what_is_not_text_in_base64() {
        let line: Value = serde_json::from_str(&rendered("json")).unwrap();
        assert_eq!(line["key"], "k");
        assert_eq!(line["value"], Value::Null);
        assert_eq!(line["headers"][0]["value_base64"], "/w==");
    }
}
