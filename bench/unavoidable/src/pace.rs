//! A client at a rate: how long an answer takes when a broker adds nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;

/// Sends frames at a rate, each from the moment it is due, and prints percentiles of when they were answered.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    let rate = arguments.number("rate", 2_000)?.clamp(1, 1_000_000);
    let count = rate * arguments.number("seconds", 20)?.clamp(1, 3_600);
    let frame_bytes = arguments.number("frame-bytes", 1_100)?.clamp(10, 1 << 20);
    let mut stream = TcpStream::connect(arguments.text("to")?)?;
    stream.set_nodelay(true)?;
    let mut frame = vec![7; frame_bytes as usize + 4];
    frame[..4].copy_from_slice(&(frame_bytes as u32).to_be_bytes());
    let begin = Instant::now() + Duration::from_millis(10);
    let due = move |number: u64| begin + Duration::from_nanos(1_000_000_000 * number / rate);
    let answers = stream.try_clone()?;
    let reader = thread::spawn(move || read_answers(answers, count, due));
    for number in 0..count {
        thread::sleep(due(number).saturating_duration_since(Instant::now()));
        stream.write_all(&frame)?;
    }
    let mut waited = reader.join().map_err(|_| io::Error::other("the reader panicked"))??;
    waited.sort_unstable();
    let quantile =
        |of_thousand: usize| waited[(waited.len() * of_thousand / 1_000).min(waited.len() - 1)].as_micros();
    println!(
        "{{\"program\":\"pace\",\"frames\":{count},\"p50_us\":{},\"p99_us\":{},\"p999_us\":{},\"max_us\":{}}}",
        quantile(500),
        quantile(990),
        quantile(999),
        quantile(1_000),
    );
    Ok(())
}

fn read_answers(
    mut stream: TcpStream,
    count: u64,
    due: impl Fn(u64) -> Instant,
) -> io::Result<Vec<Duration>> {
    let mut answer = [0; 12];
    let mut waited = Vec::with_capacity(count as usize);
    for number in 0..count {
        stream.read_exact(&mut answer)?;
        waited.push(due(number).elapsed());
    }
    Ok(waited)
}
