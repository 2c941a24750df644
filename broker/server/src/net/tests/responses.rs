//! Answers out, from memory and from files.

use super::*;

fn toy_with_file(bytes: usize, claimed: u64, fd: bool) -> Toy {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before").unwrap();
    file.write_all(&pattern(bytes)).unwrap();
    let file = Arc::new(TestFile { file, fd });
    Toy {
        file: Some(LogSlice { file, position: 6, bytes: claimed, start: 0, next_offset: 1 }),
        ..Toy::default()
    }
}

async fn file_slices_arrive_between_bytes(fd: bool) {
    const BYTES: usize = 9_000_001;
    let fixture = Fixture::with(NetConfig::default(), toy_with_file(BYTES, BYTES as u64, fd));
    let mut client = fixture.connect();
    for id in 0..3 {
        client.request(id, b"f");
        client.request(100 + id, b"small");
    }
    let content = pattern(BYTES);
    let half = BYTES / 2;
    for id in 0..3 {
        let (answered, body) = client.response();
        assert_eq!(answered, id);
        assert_eq!(body.len(), BYTES + 2);
        assert!(body[..half] == content[..half]);
        assert_eq!(&body[half..half + 2], b"--");
        assert!(body[half + 2..] == content[half..]);
        assert_eq!(client.response(), (100 + id, b"small".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_slices_are_sent_from_their_descriptor() {
    file_slices_arrive_between_bytes(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_slices_without_a_descriptor_are_read_and_sent() {
    file_slices_arrive_between_bytes(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_shorter_than_claimed_closes_the_connection() {
    for fd in [true, false] {
        let fixture = Fixture::with(NetConfig::default(), toy_with_file(1000, 2000, fd));
        let mut client = fixture.connect();
        client.request(1, b"f");
        let mut received = Vec::new();
        // The close may come as a reset; what matters is that the answer never becomes whole.
        let _ = client.stream.read_to_end(&mut received);
        assert!(received.len() < 2000);
        fixture.closed_with(CloseReason::File).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_sent_where_none_is_wanted() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    client.request(1, b"n");
    client.request(2, b"x");
    assert_eq!(client.response(), (2, b"x".to_vec()));
    eventually(|| fixture.recorder.done.lock().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_lets_earlier_answers_out_first() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    let requests = [frame(1, &[b'w', 30, b'a']), frame(2, b"c"), frame(3, b"never")].concat();
    client.send(&requests);
    assert_eq!(client.response(), (1, b"a".to_vec()));
    assert!(client.is_closed());
    fixture.closed_with(CloseReason::Handler).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_all_of_many_large_answers() {
    let fixture = Fixture::start(NetConfig::default());
    let mut client = fixture.connect();
    for id in 0..5 {
        client.request(id, b"z");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for id in 0..5 {
        let (answered, body) = client.response();
        assert_eq!((answered, body.len()), (id, 8 << 20));
        assert!(body.iter().all(|byte| *byte == b'z'));
    }
}
