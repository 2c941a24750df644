//! Our encoder against the generated decoder.

use super::*;
use crate::header::decode_response_header;
use kafka_protocol::messages::FetchResponse as Theirs;
use kafka_protocol::protocol::Decodable;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn records() -> impl Strategy<Value = Records> {
    prop_oneof![
        Just(Records::Empty),
        vec(any::<u8>(), 1..200).prop_map(|bytes| Records::Bytes(bytes.into())),
        (1..300usize).prop_map(|bytes| Records::Hole { bytes }),
    ]
}

fn partitions() -> impl Strategy<Value = PartitionData> {
    let aborted = (any::<i64>(), any::<i64>())
        .prop_map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset });
    let offsets = (any::<i64>(), any::<i64>(), any::<i64>());
    let extras = (option::of(any::<(i32, i64)>()), option::of(any::<(i32, i32)>()), any::<i32>());
    (any::<i32>(), any::<i16>(), offsets, option::of(vec(aborted, 0..3)), extras, records()).prop_map(
        |(index, error_code, offsets, aborted_transactions, extras, records)| PartitionData {
            index,
            error_code,
            high_watermark: offsets.0,
            last_stable_offset: offsets.1,
            log_start_offset: offsets.2,
            aborted_transactions,
            preferred_read_replica: extras.2,
            // A tagged field that equals Kafka's default is not told from one that is left out.
            diverging_epoch: extras.0.map(|(epoch, end_offset)| EpochEnd { epoch, end_offset }),
            current_leader: extras
                .1
                .map(|(leader_id, leader_epoch)| LeaderAndEpoch { leader_id, leader_epoch }),
            replicated: extras.0.map(|(partition_epoch, offset)| Replicated { partition_epoch, offset }),
            records,
        },
    )
}

fn responses() -> impl Strategy<Value = FetchResponse> {
    let topic =
        ("[a-z]{1,200}", any::<u128>(), vec(partitions(), 0..4)).prop_map(|(name, id, partitions)| {
            TopicData { name: name.into(), topic_id: Uuid::from_u128(id), partitions }
        });
    let endpoint = (any::<i32>(), "[a-z]{1,9}", any::<i32>(), option::of("[a-z]{1,9}")).prop_map(
        |(node_id, host, port, rack)| NodeEndpoint {
            node_id,
            host: host.into(),
            port,
            rack: rack.map(Into::into),
        },
    );
    (any::<i32>(), any::<i16>(), any::<i32>(), vec(topic, 0..4), vec(endpoint, 0..3)).prop_map(
        |(throttle_time_ms, error_code, session_id, topics, node_endpoints)| FetchResponse {
            throttle_time_ms,
            error_code,
            session_id,
            topics,
            node_endpoints,
        },
    )
}

/// Fills each hole with its number and puts the pieces together.
fn filled(response: &FetchResponse, parts: &[Part]) -> Bytes {
    let all = response.topics.iter().flat_map(|topic| &topic.partitions);
    let holes: Vec<usize> = all
        .filter_map(|partition| match partition.records {
            Records::Hole { bytes } => Some(bytes),
            _ => None,
        })
        .collect();
    let mut frame = BytesMut::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => frame.put_slice(bytes),
            Part::Hole { index } => frame.put_bytes(*index as u8, holes[*index]),
        }
    }
    frame.freeze()
}

proptest! {
    #[test]
    fn the_generated_decoder_reads_what_was_written(response in responses(), version in OLDEST..=NEWEST) {
        let parts = encode(&response, version, 77).unwrap();
        let frame = filled(&response, &parts);
        let length = i32::from_be_bytes(frame[..4].try_into().unwrap());
        prop_assert_eq!(length as usize, frame.len() - 4);
        let (id, mut body) = decode_response_header(frame.slice(4..), ApiKey::Fetch, version).unwrap();
        prop_assert_eq!(id, 77);
        let read = Theirs::decode(&mut body, version).unwrap();
        prop_assert!(body.is_empty());
        prop_assert_eq!(read.throttle_time_ms, response.throttle_time_ms);
        let session = if version >= 7 { response.session_id } else { 0 };
        prop_assert_eq!(read.session_id, session);
        let endpoints = if version >= 16 { response.node_endpoints.len() } else { 0 };
        prop_assert_eq!(read.node_endpoints.len(), endpoints);
        prop_assert_eq!(read.responses.len(), response.topics.len());
        let mut hole = 0;
        for (theirs, ours) in read.responses.iter().zip(&response.topics) {
            if version >= 13 {
                prop_assert_eq!(theirs.topic_id, ours.topic_id);
            } else {
                prop_assert_eq!(&*theirs.topic, &ours.name);
            }
            for (theirs, ours) in theirs.partitions.iter().zip(&ours.partitions) {
                prop_assert_eq!(theirs.partition_index, ours.index);
                prop_assert_eq!(theirs.error_code, ours.error_code);
                prop_assert_eq!(theirs.high_watermark, ours.high_watermark);
                prop_assert_eq!(theirs.last_stable_offset, ours.last_stable_offset);
                let aborted = ours.aborted_transactions.as_ref().map(Vec::len);
                prop_assert_eq!(theirs.aborted_transactions.as_ref().map(Vec::len), aborted);
                let expected = match &ours.records {
                    Records::Empty => Bytes::new(),
                    Records::Bytes(bytes) => bytes.clone(),
                    Records::Hole { bytes } => {
                        hole += 1;
                        vec![hole as u8 - 1; *bytes].into()
                    }
                };
                prop_assert_eq!(theirs.records.clone(), Some(expected));
                if version >= 12 {
                    let leader = ours.current_leader.map_or(-1, |leader| leader.leader_id);
                    prop_assert_eq!(*theirs.current_leader.leader_id, leader);
                    let end = ours.diverging_epoch.map_or(-1, |end| end.end_offset);
                    prop_assert_eq!(theirs.diverging_epoch.end_offset, end);
                }
                if version >= 12 {
                    let field = theirs.unknown_tagged_fields.get(&Replicated::TAG);
                    prop_assert_eq!(field.and_then(|field| Replicated::decode(field)), ours.replicated);
                }
            }
        }
    }
}

#[test]
fn a_response_above_2_gb_is_refused() {
    let partition = PartitionData {
        records: Records::Hole { bytes: i32::MAX as usize },
        ..PartitionData::empty(0, ErrorCode::None)
    };
    let topic = TopicData { partitions: vec![partition], ..TopicData::default() };
    let response = FetchResponse { topics: vec![topic], ..FetchResponse::default() };
    assert!(encode(&response, 12, 1).is_err());
}

#[test]
fn unknown_versions_are_refused() {
    assert!(encode(&FetchResponse::default(), 3, 1).is_err());
    assert!(encode(&FetchResponse::default(), 19, 1).is_err());
}
