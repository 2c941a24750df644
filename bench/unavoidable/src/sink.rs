//! Receive, CRC, write, answer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

use crc_fast::{CrcAlgorithm, checksum};

use crate::arguments::Arguments;
use crate::report::Clock;

const LARGEST_FRAME_BYTES: usize = 100 << 20;

/// Serves until all connections have ended.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.text("listen")?)?;
    let dir = PathBuf::from(arguments.text("dir")?);
    std::fs::create_dir_all(&dir)?;
    let segment_bytes = arguments.number("segment-bytes", 1 << 30)?;
    let mut threads = Vec::new();
    let mut clock = None;
    for connection in 0..arguments.number("connections", 1)? {
        let (stream, _) = listener.accept()?;
        clock.get_or_insert_with(Clock::start);
        let segments = Segments::new(&dir, connection, segment_bytes)?;
        threads.push(thread::spawn(move || serve(stream, segments)));
    }
    let (mut bytes, mut frames) = (0, 0);
    for thread in threads {
        let done = thread.join().map_err(|_| io::Error::other("a connection's thread panicked"))??;
        bytes += done.0;
        frames += done.1;
    }
    clock.unwrap_or_else(Clock::start).report("sink", bytes, frames);
    Ok(())
}

fn serve(mut stream: TcpStream, mut segments: Segments) -> io::Result<(u64, u64)> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let (mut bytes, mut frames) = (0, 0);
    let mut length = [0; 4];
    while read_or_end(&mut stream, &mut length)? {
        let wanted = u32::from_be_bytes(length) as usize;
        if !(8..=LARGEST_FRAME_BYTES).contains(&wanted) {
            return Err(io::Error::other(format!("a frame of {wanted} bytes")));
        }
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let frame = &mut buffer[..wanted];
        stream.read_exact(frame)?;
        let crc = checksum(CrcAlgorithm::Crc32Iscsi, frame) as u32;
        segments.append(frame)?;
        let mut answer = [0; 12];
        answer[3] = 8;
        answer[4..8].copy_from_slice(&frame[4..8]);
        answer[8..].copy_from_slice(&crc.to_be_bytes());
        stream.write_all(&answer)?;
        bytes += wanted as u64;
        frames += 1;
    }
    Ok((bytes, frames))
}

/// False if the peer closed between two frames.
fn read_or_end(stream: &mut TcpStream, length: &mut [u8; 4]) -> io::Result<bool> {
    match stream.read_exact(length) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Files of bounded size, always fresh ones, as a log's segments are.
struct Segments {
    dir: PathBuf,
    connection: u64,
    segment_bytes: u64,
    number: u64,
    file: File,
    position: u64,
}

impl Segments {
    fn new(dir: &Path, connection: u64, segment_bytes: u64) -> io::Result<Self> {
        let file = File::create(dir.join(format!("{connection}-0.log")))?;
        Ok(Self { dir: dir.to_owned(), connection, segment_bytes, number: 0, file, position: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.position >= self.segment_bytes {
            self.number += 1;
            self.file = File::create(self.dir.join(format!("{}-{}.log", self.connection, self.number)))?;
            self.position = 0;
        }
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
