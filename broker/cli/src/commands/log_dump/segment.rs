//! Segments: batches and records.

use super::Sink;
use crate::output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_records::{BatchHeader, HEADER_BYTES, Record, RecordBatch, TimestampType};
use ottla_types::limits::DECODED_RECORD_BYTES;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(super) fn dump(path: &Path, base_offset: i64, sink: &mut Sink) -> anyhow::Result<()> {
    let file = File::open(path)?;
    let file_bytes = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    if !sink.json && !sink.silent {
        sink.print(|| format!("# {} ({file_bytes} bytes)", path.display()), || Value::Null)?;
    }
    let mut state = State { position: 0, next_offset: base_offset, batches: 0, records: 0 };
    while state.position < file_bytes {
        let left = file_bytes - state.position;
        let Some(batch) = next(&mut reader, left, &state, path, sink)? else { break };
        if batch.header.next_offset() > sink.from && batch.header.base_offset < sink.to {
            check(&batch, &state, path, sink);
            print(&batch, &state, path, sink)?;
        }
        state.position += batch.bytes.len() as u64;
        state.next_offset = batch.header.next_offset();
        state.batches += 1;
        state.records += u64::from(batch.header.record_count.unsigned_abs());
        let (position, name) = (state.position, path.file_name().unwrap_or_default().to_string_lossy());
        sink.progress.show(|| format!("{name}: {} %", position * 100 / file_bytes));
        if state.next_offset >= sink.to {
            break;
        }
    }
    if sink.silent {
        sink.progress.clear();
        let (batches, records) = (state.batches, state.records);
        output::line(&format!("{}: {batches} batches, {records} records", path.display()))?;
    }
    Ok(())
}

struct State {
    position: u64,
    next_offset: i64,
    batches: u64,
    records: u64,
}

/// The next batch, or `None` where the file cannot be followed any further.
fn next(
    reader: &mut impl Read,
    left: u64,
    state: &State,
    path: &Path,
    sink: &mut Sink,
) -> anyhow::Result<Option<RecordBatch>> {
    let at = |what: String| format!("{} at byte {}: {what}", path.display(), state.position);
    let mut bytes = vec![0; HEADER_BYTES.min(usize::try_from(left).unwrap_or(HEADER_BYTES))];
    reader.read_exact(&mut bytes)?;
    let header = match BatchHeader::parse(&bytes) {
        Ok(header) => header,
        Err(error) => {
            sink.problem(at(format!("no batch: {error}")));
            return Ok(None);
        }
    };
    if header.total_bytes() as u64 > left {
        sink.problem(at(format!("a batch of {} bytes, of which {left} are there", header.total_bytes())));
        return Ok(None);
    }
    bytes.resize(header.total_bytes(), 0);
    reader.read_exact(&mut bytes[HEADER_BYTES..])?;
    match RecordBatch::new(&Bytes::from(bytes)) {
        Ok(batch) => Ok(Some(batch)),
        Err(error) => {
            sink.problem(at(error.to_string()));
            Ok(None)
        }
    }
}

fn check(batch: &RecordBatch, state: &State, path: &Path, sink: &mut Sink) {
    let header = &batch.header;
    let at = |what: String| format!("{} at byte {}: {what}", path.display(), state.position);
    if header.base_offset < state.next_offset {
        sink.problem(at(format!("offset {} follows {}", header.base_offset, state.next_offset - 1)));
    }
    if let Err(error) = batch.verify_crc() {
        return sink.problem(at(error.to_string()));
    }
    if !sink.decode {
        return;
    }
    match batch.records(DECODED_RECORD_BYTES) {
        Err(error) => sink.problem(at(error.to_string())),
        Ok(records) => {
            let mut count = 0;
            for record in records {
                match record {
                    Ok(_) => count += 1,
                    Err(error) => return sink.problem(at(error.to_string())),
                }
            }
            if count != header.record_count {
                sink.problem(at(format!("{count} records, {} claimed", header.record_count)));
            }
        }
    }
}

fn print(batch: &RecordBatch, state: &State, path: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    let header = batch.header;
    let crc_ok = batch.verify_crc().is_ok();
    let position = state.position;
    if !sink.json || !sink.records {
        sink.print(|| text(&header, position, crc_ok), || as_json(&header, position, crc_ok, path))?;
    }
    if !sink.records || !crc_ok {
        return Ok(());
    }
    let Ok(records) = batch.records(DECODED_RECORD_BYTES) else { return Ok(()) };
    for record in records.map_while(Result::ok) {
        if record.offset < sink.from || record.offset >= sink.to {
            continue;
        }
        let control = header.is_control().then(|| control(&record));
        sink.print(
            || record_text(&record, control.as_deref()),
            || record_json(&record, control.as_deref(), &header),
        )?;
    }
    Ok(())
}

fn text(header: &BatchHeader, position: u64, crc_ok: bool) -> String {
    let mut line = format!(
        "offsets {}..{}  records {}  position {position}  bytes {}  epoch {}  {}  {} {}  crc {}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.total_bytes(),
        header.leader_epoch,
        header.compression().name(),
        timestamp_type(header),
        output::time(header.max_timestamp),
        if crc_ok { "ok" } else { "WRONG" },
    );
    if header.has_producer() {
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        let (first, last) = (header.base_sequence, header.last_sequence());
        line.push_str(&format!("  producer {id} epoch {epoch} sequence {first}..{last}"));
    }
    if header.is_transactional() {
        line.push_str("  transactional");
    }
    if header.is_control() {
        line.push_str("  control");
    }
    line
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        TimestampType::LogAppendTime => "LogAppendTime",
        TimestampType::CreateTime => "CreateTime",
    }
}

fn as_json(header: &BatchHeader, position: u64, crc_ok: bool, path: &Path) -> Value {
    json!({
        "file": path.display().to_string(), "position": position, "bytes": header.total_bytes(),
        "base_offset": header.base_offset, "last_offset": header.last_offset(), "records": header.record_count,
        "leader_epoch": header.leader_epoch, "magic": header.magic, "crc_ok": crc_ok,
        "compression": header.compression().name(), "timestamp_type": timestamp_type(header),
        "base_timestamp": header.base_timestamp, "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id, "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence, "transactional": header.is_transactional(),
        "control": header.is_control(),
    })
}

/// What a control record says (`ControlRecordType`).
fn control(record: &Record) -> String {
    let kind = record.key.as_ref().and_then(|key| key.get(2..4)).map(|kind| [kind[0], kind[1]]);
    match kind.map(i16::from_be_bytes) {
        Some(0) => "abort".to_owned(),
        Some(1) => "commit".to_owned(),
        Some(2) => "leader change".to_owned(),
        Some(3) => "snapshot header".to_owned(),
        Some(4) => "snapshot footer".to_owned(),
        Some(5) => "kraft version".to_owned(),
        Some(6) => "kraft voters".to_owned(),
        other => format!("type {other:?}"),
    }
}

fn record_text(record: &Record, control: Option<&str>) -> String {
    let mut line = format!("  {}  {}", record.offset, output::time(record.timestamp));
    if let Some(control) = control {
        return format!("{line}  {control}");
    }
    line.push_str(&format!("  key {}  value {}", shown(record.key.as_ref()), shown(record.value.as_ref())));
    for header in &record.headers {
        line.push_str(&format!("  {}={}", header.key, shown(header.value.as_ref())));
    }
    line
}

/// Text in quotes; bytes that are no text, escaped.
fn shown(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("{text:?}"),
            Err(_) => format!("b\"{}\"", bytes.escape_ascii()),
        },
    }
}

fn record_json(record: &Record, control: Option<&str>, header: &BatchHeader) -> Value {
    let field = |bytes: Option<&Bytes>| match bytes.map(|bytes| std::str::from_utf8(bytes)) {
        None => Value::Null,
        Some(Ok(text)) => text.into(),
        Some(Err(_)) => json!({"base64": STANDARD.encode(bytes.map_or(&[][..], |bytes| bytes))}),
    };
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|header| json!({"name": header.key, "value": field(header.value.as_ref())}))
        .collect();
    json!({"offset": record.offset, "timestamp": record.timestamp, "key": field(record.key.as_ref()),
        "value": field(record.value.as_ref()), "headers": headers, "control": control,
        "leader_epoch": header.leader_epoch, "producer_id": header.producer_id})
}
