//! Connections that do nothing, and the end of all of them.

use super::*;

/// Memory of this process that is in RAM.
pub(super) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_costs_a_few_kilobytes_even_after_large_requests() {
    const CONNECTIONS: usize = 400;
    let fixture = Fixture::start(NetConfig::default());
    let before = resident_bytes();
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| fixture.connect()).collect();
    let body = pattern(30_000);
    for client in &mut clients {
        client.request(1, &body);
        client.response();
    }
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    // Other tests of this process may run at the same time, hence the generous bound.
    assert!(each < 12_000, "{each} bytes for each connection");
    assert_eq!(fixture.server.open_connections(), CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not() {
    let config = NetConfig { idle_timeout: Some(Duration::from_millis(300)), ..NetConfig::default() };
    let fixture = Fixture::start(config);
    let mut idle = fixture.connect();
    let mut busy = fixture.connect();
    for id in 0..20 {
        busy.request(id, b"x");
        busy.response();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(idle.is_closed());
    assert_eq!(*fixture.recorder.closed.lock(), [CloseReason::Idle]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_what_is_in_flight_and_then_closes() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    let mut idle = fixture.connect();
    client.request(1, &[b'w', 150, b'!']);
    eventually(|| fixture.toy.handled.load(SeqCst) == 1).await;
    let reader = std::thread::spawn(move || {
        let answer = client.response();
        (answer, client.is_closed(), idle.is_closed())
    });
    fixture.server.shutdown(Duration::from_secs(5)).await;
    assert_eq!(reader.join().unwrap(), ((1, b"!".to_vec()), true, true));
    assert!(TcpStream::connect(fixture.address).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_does_not_wait_longer_than_its_deadline() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    client.request(1, b"p");
    eventually(|| fixture.toy.handled.load(SeqCst) == 1).await;
    fixture.server.shutdown(Duration::from_millis(50)).await;
    assert_eq!(fixture.toy.dropped.load(SeqCst), 1);
    assert!(client.is_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_does_not_wait_for_fetches_that_wait_for_data() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    client.send(&[frame(1, &[b'w', 50, b'!']), frame_of(1, 4, 2, b"p")].concat());
    eventually(|| fixture.toy.handled.load(SeqCst) == 2).await;
    let reader = std::thread::spawn(move || (client.response(), client.is_closed()));
    let stopped = fixture.server.shutdown(Duration::from_secs(60));
    tokio::time::timeout(Duration::from_secs(5), stopped).await.unwrap();
    assert_eq!(reader.join().unwrap(), ((1, b"!".to_vec()), true));
}

#[tokio::test]
async fn a_busy_port_is_one_clear_line() {
    let taken = BoundListener::bind("PLAINTEXT", "127.0.0.1", 0, 1).unwrap();
    let error = BoundListener::bind("PLAINTEXT", "127.0.0.1", taken.address().port(), 1).unwrap_err();
    let expected = format!(
        "listener PLAINTEXT: cannot listen on {}: the port is in use by another process",
        taken.address()
    );
    assert_eq!(error.to_string(), expected);
}
