//! A connection against brokers that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use ottla_client::{ClientError, ClientOptions, Connection};
use ottla_protocol::messages::MetadataRequest;
use ottla_protocol::{ApiKey, RequestHeader, api_versions_response, encode_response};
use ottla_types::ErrorCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn options() -> ClientOptions {
    let timeout = Duration::from_millis(300);
    ClientOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: timeout,
        max_response_bytes: 1 << 20,
        ..ClientOptions::default()
    }
}

/// A listener whose one connection is handed to `serve`.
async fn broker<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    address
}

/// Reads one request; `None` once the client is gone.
async fn request(stream: &mut TcpStream) -> Option<RequestHeader> {
    let length = stream.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut frame).await.ok()?;
    Some(RequestHeader::decode(frame.into()).unwrap().0)
}

async fn answer_api_versions(stream: &mut TcpStream) {
    let header = request(stream).await.unwrap();
    let body = api_versions_response(ErrorCode::None);
    let frame =
        encode_response(ApiKey::ApiVersions, header.api_version, header.correlation_id, &body).unwrap();
    stream.write_all(&frame).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_hangs_up_is_an_error() {
    let address = broker(|stream| async move { drop(stream) }).await;
    assert!(matches!(Connection::open(&address, &options()).await, Err(ClientError::Closed { .. })));
}

#[tokio::test]
async fn an_answer_larger_than_allowed_is_refused_before_it_comes() {
    let address = broker(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(&i32::MAX.to_be_bytes()).await.unwrap();
        request(&mut stream).await;
    })
    .await;
    let error = Connection::open(&address, &options()).await.unwrap_err();
    assert!(error.to_string().contains("above the limit"), "{error}");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let address = broker(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 99]).await.unwrap();
        request(&mut stream).await;
    })
    .await;
    let error = Connection::open(&address, &options()).await.unwrap_err();
    assert!(error.to_string().contains("nobody asked"), "{error}");
}

#[tokio::test]
async fn a_silent_broker_times_out_and_the_connection_is_dead() {
    let address = broker(|mut stream| async move {
        answer_api_versions(&mut stream).await;
        while request(&mut stream).await.is_some() {}
    })
    .await;
    let connection = Connection::open(&address, &options()).await.unwrap();
    let asked = connection.send(MetadataRequest::default()).await;
    assert!(matches!(asked, Err(ClientError::TimedOut { .. })), "{asked:?}");
    assert!(connection.is_closed());
    assert!(connection.send(MetadataRequest::default()).await.is_err());
}

#[tokio::test]
async fn an_older_broker_is_asked_again_in_the_version_it_knows() {
    let address = broker(|mut stream| async move {
        let header = request(&mut stream).await.unwrap();
        assert_eq!(header.api_version, 4);
        let refused = api_versions_response(ErrorCode::UnsupportedVersion);
        let frame = encode_response(ApiKey::ApiVersions, 0, header.correlation_id, &refused).unwrap();
        stream.write_all(&frame).await.unwrap();
        answer_api_versions(&mut stream).await;
        request(&mut stream).await;
    })
    .await;
    let connection = Connection::open(&address, &options()).await.unwrap();
    assert_eq!(connection.version(ApiKey::ApiVersions, i16::MAX), Ok(4));
    assert_eq!(connection.version(ApiKey::ApiVersions, 2), Ok(2));
    let never = connection.version(ApiKey::ShareFetch, i16::MAX);
    assert!(matches!(never, Err(ClientError::Unsupported { .. })));
}
