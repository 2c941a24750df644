//! Many clients at once that come, go and break off, under a budget that is always short: afterwards
//! every byte of it is free and every connection gone.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const BUDGET_BYTES: usize = 400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_left_over_when_many_clients_come_and_break_off() {
    let config = NetConfig { request_memory_bytes: BUDGET_BYTES, max_in_flight: 4, ..NetConfig::default() };
    let fixture = Fixture::start(config);
    let content: Arc<[u8]> = pattern(300_000).into();
    let clients: Vec<_> = (0..8)
        .map(|seed| {
            let address = fixture.address;
            let content = Arc::clone(&content);
            std::thread::spawn(move || {
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..30 {
                    visit(address, &content, &mut random);
                }
            })
        })
        .collect();
    for client in clients {
        tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
    }
    eventually(|| fixture.server.open_connections() == 0).await;
    eventually(|| fixture.server.available_request_bytes() == BUDGET_BYTES).await;
    assert_eq!(fixture.toy.closed.load(SeqCst), 8 * 30);
}

/// One connection: some requests with their answers, then perhaps a break-off inside a frame.
fn visit(address: SocketAddr, content: &[u8], random: &mut StdRng) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut client = Client { stream };
    let mut sender = Client { stream: client.stream.try_clone().unwrap() };
    let bodies: Vec<Vec<u8>> = (0..random.random_range(0..12))
        .map(|_| {
            let limit = 1usize << random.random_range(0..19);
            let size = random.random_range(0..=limit.min(content.len()));
            let delay = random.random_range(0..8);
            [&[b'w', delay][..], &content[..size]].concat()
        })
        .collect();
    let broken = random.random_bool(0.5).then(|| frame(99, &content[..random.random_range(1..100_000)]));
    let sent = bodies.clone();
    let cut = broken.as_ref().map(|broken| random.random_range(0..broken.len()));
    let sending = std::thread::spawn(move || {
        for (id, body) in sent.iter().enumerate() {
            sender.request(id as i32, body);
        }
        if let (Some(broken), Some(cut)) = (broken, cut) {
            sender.send(&broken[..cut]);
        }
    });
    for (id, body) in bodies.iter().enumerate() {
        let (answered, echoed) = client.response();
        assert!(answered == id as i32 && echoed == body[2..], "request {id} of {} bytes", body.len());
    }
    sending.join().unwrap();
}
