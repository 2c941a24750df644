use std::io::{Read, Write};

use super::*;
use crate::logging::Levels;
use crate::metrics::{Metrics, MetricsOptions};

struct Sick;

impl Health for Sick {
    fn live(&self) -> Result<(), String> {
        Ok(())
    }
    fn ready(&self) -> Result<(), String> {
        Err("3 partitions are not in sync".to_owned())
    }
}

fn start() -> (HttpServer, Levels) {
    let (levels, filter) = Levels::new("info").unwrap();
    // The level can be changed only as long as its filter exists.
    std::mem::forget(filter);
    let metrics = Arc::new(Metrics::new(MetricsOptions::default()));
    let state = HttpState { metrics, health: Arc::new(Sick), levels: levels.clone() };
    let listener = BoundListener::bind("HTTP", "127.0.0.1", 0, 16).unwrap();
    (HttpServer::start(listener, state).unwrap(), levels)
}

fn request(server: &HttpServer, head: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_answers() {
    let (server, _) = start();
    let metrics = request(&server, "GET /metrics", "");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\nottla_build_info{"));
    assert!(request(&server, "GET /livez", "").ends_with("\r\n\r\nok\n"));
    let ready = request(&server, "GET /readyz", "");
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.ends_with("3 partitions are not in sync\n"),
        "{ready}"
    );
    assert!(request(&server, "GET /", "").contains("/metrics"));
    assert!(request(&server, "GET /nothing", "").starts_with("HTTP/1.1 404"));
    assert!(request(&server, "POST /metrics", "").starts_with("HTTP/1.1 405"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_level_can_be_read_and_set() {
    let (server, levels) = start();
    assert!(request(&server, "GET /loglevel", "").ends_with("\r\n\r\ninfo\n"));
    assert!(request(&server, "PUT /loglevel", "debug,a::b=trace").ends_with("debug,a::b=trace\n"));
    assert_eq!(levels.current(), "debug,a::b=trace");
    assert!(request(&server, "PUT /loglevel", "loud").starts_with("HTTP/1.1 400"));
    let long = "x".repeat(BODY_BYTES + 1);
    assert!(request(&server, "PUT /loglevel", &long).starts_with("HTTP/1.1 413"));
    assert_eq!(levels.current(), "debug,a::b=trace");
}
