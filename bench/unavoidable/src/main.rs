//! The floor under a broker's cost: programs that do only what cannot be avoided.
//!
//! `sink` receives frames of Kafka's shape (a 4-byte length, then a header whose correlation id is echoed)
//! into one reused buffer, computes the CRC-32C of each, appends it to a file and sends a tiny answer.
//! `source` answers each request with a range of a file by `sendfile`. `push` and `pull` are their clients,
//! in processes of their own so that their cost is not counted. `pace` sends frames to `sink` at a rate and
//! says how late their answers came.
//!
//! Threads block, one for each connection; nothing is parsed, checked or kept. At the end each program
//! prints one line of JSON with its CPU seconds, read from `/proc`.

mod arguments;
mod drive;
mod pace;
mod report;
mod sink;
mod source;

use std::io;
use std::process::ExitCode;

use arguments::Arguments;

const USAGE: &str = "\
usage: unavoidable sink   listen=127.0.0.1:20210 dir=DIR [connections=1] [segment-bytes=1073741824]
       unavoidable source listen=127.0.0.1:20211 file=FILE [connections=1]
       unavoidable push   to=127.0.0.1:20210 [bytes=4000000000] [frame-bytes=1000000] [in-flight=5]
       unavoidable pull   to=127.0.0.1:20211 [bytes=4000000000] [fetch-bytes=1048576]
       unavoidable pace   to=127.0.0.1:20210 [rate=2000] [seconds=20] [frame-bytes=1100]

sink and source end when so many connections have come and gone.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = Arguments::parse(words).and_then(|arguments| match command.as_str() {
        "sink" => sink::run(&arguments),
        "source" => source::run(&arguments),
        "push" => drive::push(&arguments),
        "pull" => drive::pull(&arguments),
        "pace" => pace::run(&arguments),
        _ => Err(io::Error::other(USAGE)),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
