//! The clients: as little work as possible, so that they are never the bottleneck.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::arguments::Arguments;
use crate::report::Clock;

/// Sends frames, with a bounded number of them unanswered.
pub fn push(arguments: &Arguments) -> io::Result<()> {
    let bytes = arguments.number("bytes", 4_000_000_000)?;
    let frame_bytes = arguments.number("frame-bytes", 1_000_000)?.max(10);
    let in_flight = arguments.number("in-flight", 5)?.max(1);
    let mut stream = TcpStream::connect(arguments.text("to")?)?;
    stream.set_nodelay(true)?;
    let mut frame = noise(frame_bytes as usize + 4);
    frame[..4].copy_from_slice(&(frame_bytes as u32).to_be_bytes());
    // Produce (key 0) version 7, a correlation id, no client id.
    frame[4..14].copy_from_slice(&[0, 0, 0, 7, 0, 0, 0, 0, 0xff, 0xff]);
    let frames = bytes.div_ceil(frame_bytes);
    let clock = Clock::start();
    let mut answer = [0; 12];
    for sent in 0..frames + in_flight {
        if sent >= in_flight.min(frames) && sent - in_flight.min(frames) < frames {
            stream.read_exact(&mut answer)?;
        }
        if sent < frames {
            frame[8..12].copy_from_slice(&(sent as u32).to_be_bytes());
            stream.write_all(&frame)?;
        }
    }
    clock.report("push", frames * frame_bytes, frames);
    Ok(())
}

/// Asks for ranges one after the other and throws them away.
pub fn pull(arguments: &Arguments) -> io::Result<()> {
    let bytes = arguments.number("bytes", 4_000_000_000)?;
    let fetch_bytes = arguments.number("fetch-bytes", 1 << 20)?.clamp(1, 1 << 30);
    let mut stream = TcpStream::connect(arguments.text("to")?)?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 20];
    let clock = Clock::start();
    let (mut received, mut fetches) = (0, 0);
    while received < bytes {
        let mut request = [0; 8];
        request[4..].copy_from_slice(&(fetch_bytes as u32).to_be_bytes());
        stream.write_all(&request)?;
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let mut left = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])) - 4;
        received += left;
        fetches += 1;
        while left > 0 {
            let most = buffer.len().min(left as usize);
            match stream.read(&mut buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read as u64,
            }
        }
    }
    clock.report("pull", received, fetches);
    Ok(())
}

/// Bytes that do not compress (xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
