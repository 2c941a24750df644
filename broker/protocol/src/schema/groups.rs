//! Shapes of requests. Groups and their offsets.

use super::{BLOB, Field, I8, I32, I32S, I64, TEXT, TEXTS, UUID, always, since, structs, within};

pub(super) const OFFSET_COMMIT: &[Field] = &[
    always("group_id", &TEXT),
    always("generation_id_or_member_epoch", &I32),
    always("member_id", &TEXT),
    since(7, "group_instance_id", &TEXT),
    within(2, 4, "retention_time_ms", &I64),
    always(
        "topics",
        &structs(&[
            since(10, "topic_id", &UUID),
            within(2, 9, "name", &TEXT),
            always(
                "partitions",
                &structs(&[
                    always("partition_index", &I32),
                    always("committed_offset", &I64),
                    since(6, "committed_leader_epoch", &I32),
                    always("committed_metadata", &TEXT),
                ]),
            ),
        ]),
    ),
];

pub(super) const OFFSET_FETCH: &[Field] = &[
    since(
        8,
        "groups",
        &structs(&[
            always("group_id", &TEXT),
            since(9, "member_id", &TEXT),
            since(9, "member_epoch", &I32),
            always(
                "topics",
                &structs(&[
                    since(10, "topic_id", &UUID),
                    within(8, 9, "name", &TEXT),
                    always("partition_indexes", &I32S),
                ]),
            ),
        ]),
    ),
    within(1, 7, "group_id", &TEXT),
    within(1, 7, "topics", &structs(&[always("name", &TEXT), always("partition_indexes", &I32S)])),
    since(7, "require_stable", &I8),
];

pub(super) const FIND_COORDINATOR: &[Field] =
    &[within(0, 3, "key", &TEXT), since(1, "key_type", &I8), since(4, "coordinator_keys", &TEXTS)];

pub(super) const JOIN_GROUP: &[Field] = &[
    always("group_id", &TEXT),
    always("session_timeout_ms", &I32),
    since(1, "rebalance_timeout_ms", &I32),
    always("member_id", &TEXT),
    since(5, "group_instance_id", &TEXT),
    always("protocol_type", &TEXT),
    always("protocols", &structs(&[always("name", &TEXT), always("metadata", &BLOB)])),
    since(8, "reason", &TEXT),
];

pub(super) const HEARTBEAT: &[Field] = &[
    always("group_id", &TEXT),
    always("generation_id", &I32),
    always("member_id", &TEXT),
    since(3, "group_instance_id", &TEXT),
];

pub(super) const LEAVE_GROUP: &[Field] = &[
    always("group_id", &TEXT),
    since(
        3,
        "members",
        &structs(&[
            always("member_id", &TEXT),
            always("group_instance_id", &TEXT),
            since(5, "reason", &TEXT),
        ]),
    ),
    within(0, 2, "member_id", &TEXT),
];

pub(super) const SYNC_GROUP: &[Field] = &[
    always("group_id", &TEXT),
    always("generation_id", &I32),
    always("member_id", &TEXT),
    since(3, "group_instance_id", &TEXT),
    since(5, "protocol_type", &TEXT),
    since(5, "protocol_name", &TEXT),
    always("assignments", &structs(&[always("member_id", &TEXT), always("assignment", &BLOB)])),
];

pub(super) const DESCRIBE_GROUPS: &[Field] =
    &[always("groups", &TEXTS), since(3, "include_authorized_operations", &I8)];

pub(super) const LIST_GROUPS: &[Field] =
    &[since(4, "states_filter", &TEXTS), since(5, "types_filter", &TEXTS)];

pub(super) const DELETE_GROUPS: &[Field] = &[always("groups_names", &TEXTS)];

pub(super) const OFFSET_DELETE: &[Field] = &[
    always("group_id", &TEXT),
    always(
        "topics",
        &structs(&[
            always("name", &TEXT),
            always("partitions", &structs(&[always("partition_index", &I32)])),
        ]),
    ),
];

pub(super) const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    always("group_id", &TEXT),
    always("member_id", &TEXT),
    always("member_epoch", &I32),
    always("instance_id", &TEXT),
    always("rack_id", &TEXT),
    always("rebalance_timeout_ms", &I32),
    always("subscribed_topic_names", &TEXTS),
    since(1, "subscribed_topic_regex", &TEXT),
    always("server_assignor", &TEXT),
    always("topic_partitions", &structs(&[always("topic_id", &UUID), always("partitions", &I32S)])),
];

pub(super) const CONSUMER_GROUP_DESCRIBE: &[Field] =
    &[always("group_ids", &TEXTS), always("include_authorized_operations", &I8)];
