//! Requests in, in whatever pieces they come.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order_though_the_first_is_slowest() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    let mut bytes = Vec::new();
    for id in 0..100 {
        bytes.extend(frame(id, &[b'w', if id % 7 == 0 { 20 } else { 0 }, id as u8]));
    }
    client.send(&bytes);
    for id in 0..100 {
        assert_eq!(client.response(), (id, vec![id as u8]));
    }
    eventually(|| fixture.recorder.done.lock().len() == 100).await;
    let done = fixture.recorder.done.lock()[0];
    assert_eq!((done.api_key, done.api_version), (3, 1));
    assert_eq!((done.request_bytes, done.response_bytes), (13, 9));
    assert!(done.remote >= Duration::from_millis(15) && done.total >= done.remote);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_may_arrive_byte_by_byte() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    client.stream.set_nodelay(true).unwrap();
    for byte in frame(7, b"hello") {
        client.send(&[byte]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.response(), (7, b"hello".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_all_sizes_arrive_whole_in_any_mixture() {
    let fixture = Fixture::start(NetConfig::default());
    let sizes =
        [0, 1, 500, 16_383, 16_384, 16_385, 40_000, 70_000, 3, 1_000_000, 600, 2_097_152, 5_000_001, 12];
    let mut client = fixture.connect();
    let mut sender = Client { stream: client.stream.try_clone().unwrap() };
    let body = pattern(5_000_001);
    let sent = body.clone();
    let thread = std::thread::spawn(move || {
        for (id, bytes) in sizes.iter().cycle().take(sizes.len() * 3).enumerate() {
            sender.request(id as i32, &[b"x", &sent[..*bytes]].concat());
        }
    });
    for (id, bytes) in sizes.iter().cycle().take(sizes.len() * 3).enumerate() {
        let (answered, echoed) = client.response();
        assert_eq!(answered, id as i32);
        assert!(echoed[1..] == body[..*bytes], "frame {id} of {bytes} bytes");
    }
    thread.join().unwrap();
    eventually(|| fixture.server.available_request_bytes() == NetConfig::default().request_memory_bytes)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_frames_cut_at_random_places_arrive_whole() {
    let fixture = Fixture::start(NetConfig { max_request_bytes: 1 << 20, ..NetConfig::default() });
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let sizes: Vec<usize> = (0..60).map(|_| 1usize << random.random_range(0..18)).collect();
        let sizes: Vec<usize> = sizes.into_iter().map(|limit| random.random_range(0..=limit)).collect();
        let content = pattern(1 << 18);
        let bytes: Vec<u8> = sizes
            .iter()
            .enumerate()
            .flat_map(|(id, size)| frame(id as i32, &[b"x", &content[..*size]].concat()))
            .collect();
        let mut client = fixture.connect();
        let mut sender = Client { stream: client.stream.try_clone().unwrap() };
        let sending = std::thread::spawn(move || {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let limit = 1usize << random.random_range(0..17);
                let cut = random.random_range(1..=limit).min(rest.len());
                sender.send(&rest[..cut]);
                rest = &rest[cut..];
            }
        });
        for (id, size) in sizes.iter().enumerate() {
            let (answered, body) = client.response();
            assert!(answered == id as i32 && body[1..] == content[..*size], "seed {seed}, frame {id}");
        }
        sending.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_allowed_requests_are_in_flight() {
    let fixture = Fixture::start(NetConfig { max_in_flight: 4, ..NetConfig::default() });
    let mut client = fixture.connect();
    for id in 0..10 {
        client.request(id, b"p");
    }
    eventually(|| fixture.toy.handled.load(SeqCst) == 4).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(fixture.toy.handled.load(SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_stops_reading_until_an_answer_frees_it() {
    let config = NetConfig { request_memory_bytes: 100_000, ..NetConfig::default() };
    let fixture = Fixture::start(config);
    let mut holder = fixture.connect();
    let mut body = vec![0; 90_000];
    body[..2].copy_from_slice(&[b'w', 200]);
    holder.request(1, &body);
    eventually(|| fixture.toy.handled.load(SeqCst) == 1).await;
    let mut waiter = fixture.connect();
    waiter.request(2, &pattern(50_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(fixture.toy.handled.load(SeqCst), 1);
    assert_eq!(waiter.response(), (2, pattern(50_000)));
    assert_eq!(holder.response().0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_larger_than_the_whole_budget_pass_one_after_the_other() {
    let config = NetConfig { request_memory_bytes: 1_000_000, ..NetConfig::default() };
    let fixture = Fixture::start(config);
    let body = pattern(6_000_000);
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let mut client = fixture.connect();
            let body = body.clone();
            std::thread::spawn(move || {
                let mut sender = Client { stream: client.stream.try_clone().unwrap() };
                let sent = body.clone();
                let sending = std::thread::spawn(move || sender.request(id, &sent));
                assert!(client.response() == (id, body));
                sending.join().unwrap();
            })
        })
        .collect();
    for thread in threads {
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
    eventually(|| fixture.server.available_request_bytes() == 1_000_000).await;
}
