//! Shapes of requests. Data: reading, offsets, producers and transactions.

use super::Kind::{OptionalStruct, Struct};
use super::{
    Field, I8, I16, I32, I32S, I64, I64S, TEXT, TEXTS, UUID, always, since, structs, tagged, within,
};

pub(super) const FETCH: &[Field] = &[
    within(4, 14, "replica_id", &I32),
    always("max_wait_ms", &I32),
    always("min_bytes", &I32),
    always("max_bytes", &I32),
    always("isolation_level", &I8),
    since(7, "session_id", &I32),
    since(7, "session_epoch", &I32),
    always(
        "topics",
        &structs(&[
            since(13, "topic_id", &UUID),
            within(4, 12, "topic", &TEXT),
            always(
                "partitions",
                &structs(&[
                    always("partition", &I32),
                    since(9, "current_leader_epoch", &I32),
                    always("fetch_offset", &I64),
                    since(12, "last_fetched_epoch", &I32),
                    since(5, "log_start_offset", &I64),
                    always("partition_max_bytes", &I32),
                    tagged(0, "replica_directory_id", &UUID),
                    tagged(1, "high_watermark", &I64),
                ]),
            ),
        ]),
    ),
    since(
        7,
        "forgotten_topics_data",
        &structs(&[since(13, "topic_id", &UUID), within(7, 12, "topic", &TEXT), always("partitions", &I32S)]),
    ),
    since(11, "rack_id", &TEXT),
    tagged(0, "cluster_id", &TEXT),
    tagged(1, "replica_state", &Struct(&[always("replica_id", &I32), always("replica_epoch", &I64)])),
];

pub(super) const LIST_OFFSETS: &[Field] = &[
    always("replica_id", &I32),
    since(2, "isolation_level", &I8),
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always(
                "partitions",
                &structs(&[
                    always("partition_index", &I32),
                    since(4, "current_leader_epoch", &I32),
                    always("timestamp", &I64),
                ]),
            ),
        ]),
    ),
    since(10, "timeout_ms", &I32),
];

pub(super) const METADATA: &[Field] = &[
    always("topics", &structs(&[since(10, "topic_id", &UUID), always("name", &TEXT)])),
    since(4, "allow_auto_topic_creation", &I8),
    within(8, 10, "include_cluster_authorized_operations", &I8),
    since(8, "include_topic_authorized_operations", &I8),
];

pub(super) const DELETE_RECORDS: &[Field] = &[
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always("partitions", &structs(&[always("partition_index", &I32), always("offset", &I64)])),
        ]),
    ),
    always("timeout_ms", &I32),
];

pub(super) const INIT_PRODUCER_ID: &[Field] = &[
    always("transactional_id", &TEXT),
    always("transaction_timeout_ms", &I32),
    since(3, "producer_id", &I64),
    since(3, "producer_epoch", &I16),
];

pub(super) const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    since(3, "replica_id", &I32),
    always(
        "topics",
        &structs(&[
            always("topic", &TEXT),
            always(
                "partitions",
                &structs(&[
                    always("partition", &I32),
                    always("current_leader_epoch", &I32),
                    always("leader_epoch", &I32),
                ]),
            ),
        ]),
    ),
];

pub(super) const ADD_PARTITIONS_TO_TXN: &[Field] = &[
    since(
        4,
        "transactions",
        &structs(&[
            always("transactional_id", &TEXT),
            always("producer_id", &I64),
            always("producer_epoch", &I16),
            always("verify_only", &I8),
            always("topics", &structs(&[always("name", &TEXT), always("partitions", &I32S)])),
        ]),
    ),
    within(0, 3, "v3_and_below_transactional_id", &TEXT),
    within(0, 3, "v3_and_below_producer_id", &I64),
    within(0, 3, "v3_and_below_producer_epoch", &I16),
    within(0, 3, "v3_and_below_topics", &structs(&[always("name", &TEXT), always("partitions", &I32S)])),
];

pub(super) const ADD_OFFSETS_TO_TXN: &[Field] = &[
    always("transactional_id", &TEXT),
    always("producer_id", &I64),
    always("producer_epoch", &I16),
    always("group_id", &TEXT),
];

pub(super) const END_TXN: &[Field] = &[
    always("transactional_id", &TEXT),
    always("producer_id", &I64),
    always("producer_epoch", &I16),
    always("committed", &I8),
];

pub(super) const WRITE_TXN_MARKERS: &[Field] = &[always(
    "markers",
    &structs(&[
        always("producer_id", &I64),
        always("producer_epoch", &I16),
        always("transaction_result", &I8),
        always("topics", &structs(&[always("name", &TEXT), always("partition_indexes", &I32S)])),
        always("coordinator_epoch", &I32),
        since(2, "transaction_version", &I8),
    ]),
)];

pub(super) const TXN_OFFSET_COMMIT: &[Field] = &[
    always("transactional_id", &TEXT),
    always("group_id", &TEXT),
    always("producer_id", &I64),
    always("producer_epoch", &I16),
    since(3, "generation_id", &I32),
    since(3, "member_id", &TEXT),
    since(3, "group_instance_id", &TEXT),
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always(
                "partitions",
                &structs(&[
                    always("partition_index", &I32),
                    always("committed_offset", &I64),
                    since(2, "committed_leader_epoch", &I32),
                    always("committed_metadata", &TEXT),
                ]),
            ),
        ]),
    ),
];

pub(super) const DESCRIBE_PRODUCERS: &[Field] =
    &[always("topics", &structs(&[always("name", &TEXT), always("partition_indexes", &I32S)]))];

pub(super) const DESCRIBE_TRANSACTIONS: &[Field] = &[always("transactional_ids", &TEXTS)];

pub(super) const LIST_TRANSACTIONS: &[Field] = &[
    always("state_filters", &TEXTS),
    always("producer_id_filters", &I64S),
    since(1, "duration_filter", &I64),
    since(2, "transactional_id_pattern", &TEXT),
];

pub(super) const DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    always("topics", &structs(&[always("name", &TEXT)])),
    always("response_partition_limit", &I32),
    always("cursor", &OptionalStruct(&[always("topic_name", &TEXT), always("partition_index", &I32)])),
];

pub(super) const API_VERSIONS: &[Field] =
    &[since(3, "client_software_name", &TEXT), since(3, "client_software_version", &TEXT)];
