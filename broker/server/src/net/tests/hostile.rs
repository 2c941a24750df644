//! Peers that mean harm or have died.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negative_and_huge_lengths_close_the_connection() {
    let fixture = Fixture::start(NetConfig::default());
    for length in [-1, i32::MIN, i32::MAX, 100 * 1024 * 1024 + 1] {
        let mut client = fixture.connect();
        client.send(&length.to_be_bytes());
        assert!(client.is_closed(), "length {length}");
    }
    fixture.closed_with(CloseReason::BadLength).await;
    assert_eq!(fixture.recorder.closed.lock().len(), 4);
    assert_eq!(fixture.toy.closed.load(SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_closes_only_its_own_connection() {
    let fixture = Fixture::start(NetConfig::default());
    let mut good = fixture.connect();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\0\0\0\x02ab",
        b"\0\0\0\0",
    ] {
        let mut client = fixture.connect();
        client.send(garbage);
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(client.is_closed());
    }
    good.request(1, b"still here");
    assert_eq!(good.response(), (1, b"still here".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_stops_inside_a_frame_is_closed() {
    let config = NetConfig { slow_sender_timeout: Duration::from_millis(200), ..NetConfig::default() };
    let fixture = Fixture::start(config);
    for sent in [2, 50_000] {
        let mut client = fixture.connect();
        client.send(&frame(1, &[b'x'; 100_000])[..sent]);
        assert!(client.is_closed());
    }
    let mut idle = fixture.connect();
    tokio::time::sleep(Duration::from_millis(400)).await;
    idle.request(1, b"idle is not slow");
    assert_eq!(idle.response().0, 1);
    let reasons = fixture.recorder.closed.lock().clone();
    assert_eq!(reasons, [CloseReason::SlowSender, CloseReason::SlowSender]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_trickles_is_closed_too() {
    let config = NetConfig { slow_sender_timeout: Duration::from_millis(200), ..NetConfig::default() };
    let fixture = Fixture::start(config);
    let mut client = fixture.connect();
    client.send(&1000u32.to_be_bytes());
    for _ in 0..500 {
        if client.stream.write_all(b"x").is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*fixture.recorder.closed.lock(), [CloseReason::SlowSender]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claimed_length_costs_nothing_until_its_bytes_arrive() {
    let fixture = Fixture::start(NetConfig { request_memory_bytes: 1 << 30, ..NetConfig::default() });
    let before = idle::resident_bytes();
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let mut client = fixture.connect();
            client.send(&(100u32 << 20).to_be_bytes());
            client
        })
        .collect();
    eventually(|| fixture.server.available_request_bytes() <= (1 << 30) - 200 * (2 << 20)).await;
    let grown = idle::resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "200 claims of 100 MiB grew memory by {grown} bytes");
    drop(clients);
    eventually(|| fixture.server.available_request_bytes() == 1 << 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_goes_away_ends_the_requests_it_waits_for() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    client.request(1, b"p");
    client.request(2, b"p");
    eventually(|| fixture.toy.handled.load(SeqCst) == 2).await;
    drop(client);
    eventually(|| fixture.toy.dropped.load(SeqCst) == 2).await;
    eventually(|| fixture.server.open_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_dies_while_it_is_answered_ends_only_itself() {
    let fixture = Fixture::start(NetConfig::default());
    for _ in 0..5 {
        let mut client = fixture.connect();
        client.request(1, b"z");
        let mut some = [0; 100_000];
        client.stream.read_exact(&mut some).unwrap();
        socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
    }
    eventually(|| fixture.server.open_connections() == 0).await;
    let mut good = fixture.connect();
    good.request(1, b"ok");
    assert_eq!(good.response().0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_gets_no_more_than_its_connections() {
    let fixture = Fixture::start(NetConfig { max_connections_per_ip: 2, ..NetConfig::default() });
    let mut first = fixture.connect();
    let _second = fixture.connect();
    eventually(|| fixture.server.open_connections() == 2).await;
    assert!(fixture.connect().is_closed());
    first.request(1, b"ok");
    assert_eq!(first.response().0, 1);
    drop(first);
    eventually(|| fixture.server.open_connections() == 1).await;
    let mut third = fixture.connect();
    third.request(2, b"ok");
    assert_eq!(third.response().0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_greatest_number_connections_wait_their_turn() {
    let fixture = Fixture::start(NetConfig { max_connections: 1, ..NetConfig::default() });
    let mut first = fixture.connect();
    first.request(1, b"ok");
    assert_eq!(first.response().0, 1);
    let mut second = fixture.connect();
    second.request(2, b"ok");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(fixture.toy.handled.load(SeqCst), 1);
    drop(first);
    assert_eq!(second.response().0, 2);
}
