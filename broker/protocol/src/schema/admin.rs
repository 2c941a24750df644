//! Shapes of requests. Topics, settings, the cluster and its quorum.

use super::{Field, I8, I8S, I16, I32, I32S, TEXT, TEXTS, UUID, always, since, structs, within};

pub(super) const CREATE_TOPICS: &[Field] = &[
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always("num_partitions", &I32),
            always("replication_factor", &I16),
            always("assignments", &structs(&[always("partition_index", &I32), always("broker_ids", &I32S)])),
            always("configs", &structs(&[always("name", &TEXT), always("value", &TEXT)])),
        ]),
    ),
    always("timeout_ms", &I32),
    always("validate_only", &I8),
];

pub(super) const DELETE_TOPICS: &[Field] = &[
    since(6, "topics", &structs(&[always("name", &TEXT), always("topic_id", &UUID)])),
    within(1, 5, "topic_names", &TEXTS),
    always("timeout_ms", &I32),
];

pub(super) const DESCRIBE_CONFIGS: &[Field] = &[
    always(
        "resources",
        &structs(&[
            always("resource_type", &I8),
            always("resource_name", &TEXT),
            always("configuration_keys", &TEXTS),
        ]),
    ),
    always("include_synonyms", &I8),
    since(3, "include_documentation", &I8),
];

pub(super) const ALTER_CONFIGS: &[Field] = &[
    always(
        "resources",
        &structs(&[
            always("resource_type", &I8),
            always("resource_name", &TEXT),
            always("configs", &structs(&[always("name", &TEXT), always("value", &TEXT)])),
        ]),
    ),
    always("validate_only", &I8),
];

pub(super) const ALTER_REPLICA_LOG_DIRS: &[Field] = &[always(
    "dirs",
    &structs(&[
        always("path", &TEXT),
        always("topics", &structs(&[always("name", &TEXT), always("partitions", &I32S)])),
    ]),
)];

pub(super) const DESCRIBE_LOG_DIRS: &[Field] =
    &[always("topics", &structs(&[always("topic", &TEXT), always("partitions", &I32S)]))];

pub(super) const CREATE_PARTITIONS: &[Field] = &[
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always("count", &I32),
            always("assignments", &structs(&[always("broker_ids", &I32S)])),
        ]),
    ),
    always("timeout_ms", &I32),
    always("validate_only", &I8),
];

pub(super) const ELECT_LEADERS: &[Field] = &[
    since(1, "election_type", &I8),
    always("topic_partitions", &structs(&[always("topic", &TEXT), always("partitions", &I32S)])),
    always("timeout_ms", &I32),
];

pub(super) const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    always(
        "resources",
        &structs(&[
            always("resource_type", &I8),
            always("resource_name", &TEXT),
            always(
                "configs",
                &structs(&[always("name", &TEXT), always("config_operation", &I8), always("value", &TEXT)]),
            ),
        ]),
    ),
    always("validate_only", &I8),
];

pub(super) const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    always("timeout_ms", &I32),
    since(1, "allow_replication_factor_change", &I8),
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always("partitions", &structs(&[always("partition_index", &I32), always("replicas", &I32S)])),
        ]),
    ),
];

pub(super) const LIST_PARTITION_REASSIGNMENTS: &[Field] = &[
    always("timeout_ms", &I32),
    always("topics", &structs(&[always("name", &TEXT), always("partition_indexes", &I32S)])),
];

pub(super) const DESCRIBE_QUORUM: &[Field] = &[always(
    "topics",
    &structs(&[
        always("topic_name", &TEXT),
        always("partitions", &structs(&[always("partition_index", &I32)])),
    ]),
)];

pub(super) const UPDATE_FEATURES: &[Field] = &[
    always("timeout_ms", &I32),
    always(
        "feature_updates",
        &structs(&[
            always("feature", &TEXT),
            always("max_version_level", &I16),
            since(1, "upgrade_type", &I8),
            within(0, 0, "allow_downgrade", &I8),
        ]),
    ),
    since(1, "validate_only", &I8),
];

pub(super) const DESCRIBE_CLUSTER: &[Field] = &[
    always("include_cluster_authorized_operations", &I8),
    since(1, "endpoint_type", &I8),
    since(2, "include_fenced_brokers", &I8),
];

pub(super) const UNREGISTER_BROKER: &[Field] = &[always("broker_id", &I32)];

pub(super) const LIST_CONFIG_RESOURCES: &[Field] = &[since(1, "resource_types", &I8S)];

pub(super) const ADD_RAFT_VOTER: &[Field] = &[
    always("cluster_id", &TEXT),
    always("timeout_ms", &I32),
    always("voter_id", &I32),
    always("voter_directory_id", &UUID),
    always("listeners", &structs(&[always("name", &TEXT), always("host", &TEXT), always("port", &I16)])),
    since(1, "ack_when_committed", &I8),
];

pub(super) const REMOVE_RAFT_VOTER: &[Field] =
    &[always("cluster_id", &TEXT), always("voter_id", &I32), always("voter_directory_id", &UUID)];
