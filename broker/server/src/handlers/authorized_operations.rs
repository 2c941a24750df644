//! What a client may do with a resource (KIP-430), as a bit for each of Kafka's `AclOperation` codes.
//!
//! Nobody is kept from anything here, so the answer is what Kafka's is without an authorizer: all that the kind of
//! resource knows (`AclEntry.supportedOperations`).

/// The answer to clients that did not ask.
const NOT_ASKED: i32 = i32::MIN;

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

const TOPIC: i32 = READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
const CLUSTER: i32 =
    CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE;
const GROUP: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;

/// For a topic, also one that is not there.
pub const fn of_topic(asked: bool) -> i32 {
    if asked { TOPIC } else { NOT_ASKED }
}

/// For the cluster.
pub const fn of_cluster(asked: bool) -> i32 {
    if asked { CLUSTER } else { NOT_ASKED }
}

/// For a group that was described.
pub const fn of_group(asked: bool) -> i32 {
    if asked { GROUP } else { NOT_ASKED }
}
