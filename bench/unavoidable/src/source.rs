//! Send ranges of a file.

use std::fs::File;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;

use crate::arguments::Arguments;
use crate::report::Clock;

/// As the broker does on loopback, where the system's congestion control may pace what is sent.
fn do_not_pace(listener: &TcpListener) {
    let name = c"reno";
    // SAFETY: the kernel reads a name of the length that it is told. A refusal is no harm.
    unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast(),
            name.count_bytes() as libc::socklen_t,
        );
    }
}

/// Serves until all connections have ended.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.text("listen")?)?;
    do_not_pace(&listener);
    let file = Arc::new(File::open(arguments.text("file")?)?);
    let mut threads = Vec::new();
    let mut clock = None;
    for _ in 0..arguments.number("connections", 1)? {
        let (stream, _) = listener.accept()?;
        clock.get_or_insert_with(Clock::start);
        let file = Arc::clone(&file);
        threads.push(thread::spawn(move || serve(stream, &file)));
    }
    let (mut bytes, mut frames) = (0, 0);
    for thread in threads {
        let done = thread.join().map_err(|_| io::Error::other("a connection's thread panicked"))??;
        bytes += done.0;
        frames += done.1;
    }
    clock.unwrap_or_else(Clock::start).report("source", bytes, frames);
    Ok(())
}

/// Each request is 8 bytes: correlation id and bytes wanted. Each answer is length, id, and the bytes.
fn serve(mut stream: TcpStream, file: &File) -> io::Result<(u64, u64)> {
    stream.set_nodelay(true)?;
    let file_bytes = file.metadata()?.len();
    let (mut bytes, mut frames, mut position) = (0, 0, 0);
    let mut request = [0; 8];
    loop {
        match stream.read_exact(&mut request) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok((bytes, frames)),
            Err(error) => return Err(error),
        }
        let [id @ .., _, _, _, _] = request;
        let wanted = u64::from(u32::from_be_bytes([request[4], request[5], request[6], request[7]]));
        if position + wanted > file_bytes {
            position = 0;
        }
        let wanted = wanted.min(file_bytes);
        let mut head = [0; 8];
        head[..4].copy_from_slice(&(wanted as u32 + 4).to_be_bytes());
        head[4..].copy_from_slice(&id);
        send_more(&stream, &head)?;
        send_file(&stream, file, position, wanted)?;
        position += wanted;
        bytes += wanted;
        frames += 1;
    }
}

/// Sends with the promise of more, so that the head does not travel alone.
fn send_more(stream: &TcpStream, head: &[u8; 8]) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `head`.
    let sent = unsafe { libc::send(stream.as_raw_fd(), head.as_ptr().cast(), head.len(), libc::MSG_MORE) };
    match usize::try_from(sent) {
        Ok(sent) if sent == head.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn send_file(stream: &TcpStream, file: &File, position: u64, bytes: u64) -> io::Result<()> {
    let mut offset = position as libc::off_t;
    let end = offset + bytes as libc::off_t;
    while offset < end {
        let count = (end - offset) as usize;
        // SAFETY: both descriptors are open, and `offset` outlives the call.
        let sent = unsafe { libc::sendfile(stream.as_raw_fd(), file.as_raw_fd(), &mut offset, count) };
        match sent {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            1.. => {}
            _ => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}
