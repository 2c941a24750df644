//! Shapes of requests. Authentication, access and quotas.

use super::{BLOB, Field, I8, I32, I64, TEXT, always, since, structs};

pub(super) const SASL_HANDSHAKE: &[Field] = &[always("mechanism", &TEXT)];

pub(super) const SASL_AUTHENTICATE: &[Field] = &[always("auth_bytes", &BLOB)];

pub(super) const DESCRIBE_ACLS: &[Field] = &[
    always("resource_type_filter", &I8),
    always("resource_name_filter", &TEXT),
    always("pattern_type_filter", &I8),
    always("principal_filter", &TEXT),
    always("host_filter", &TEXT),
    always("operation", &I8),
    always("permission_type", &I8),
];

pub(super) const CREATE_ACLS: &[Field] = &[always(
    "creations",
    &structs(&[
        always("resource_type", &I8),
        always("resource_name", &TEXT),
        always("resource_pattern_type", &I8),
        always("principal", &TEXT),
        always("host", &TEXT),
        always("operation", &I8),
        always("permission_type", &I8),
    ]),
)];

pub(super) const DELETE_ACLS: &[Field] = &[always(
    "filters",
    &structs(&[
        always("resource_type_filter", &I8),
        always("resource_name_filter", &TEXT),
        always("pattern_type_filter", &I8),
        always("principal_filter", &TEXT),
        always("host_filter", &TEXT),
        always("operation", &I8),
        always("permission_type", &I8),
    ]),
)];

pub(super) const CREATE_DELEGATION_TOKEN: &[Field] = &[
    since(3, "owner_principal_type", &TEXT),
    since(3, "owner_principal_name", &TEXT),
    always("renewers", &structs(&[always("principal_type", &TEXT), always("principal_name", &TEXT)])),
    always("max_lifetime_ms", &I64),
];

pub(super) const RENEW_DELEGATION_TOKEN: &[Field] = &[always("hmac", &BLOB), always("renew_period_ms", &I64)];

pub(super) const EXPIRE_DELEGATION_TOKEN: &[Field] =
    &[always("hmac", &BLOB), always("expiry_time_period_ms", &I64)];

pub(super) const DESCRIBE_DELEGATION_TOKEN: &[Field] =
    &[always("owners", &structs(&[always("principal_type", &TEXT), always("principal_name", &TEXT)]))];

pub(super) const DESCRIBE_CLIENT_QUOTAS: &[Field] = &[
    always(
        "components",
        &structs(&[always("entity_type", &TEXT), always("match_type", &I8), always("match", &TEXT)]),
    ),
    always("strict", &I8),
];

pub(super) const ALTER_CLIENT_QUOTAS: &[Field] = &[
    always(
        "entries",
        &structs(&[
            always("entity", &structs(&[always("entity_type", &TEXT), always("entity_name", &TEXT)])),
            always("ops", &structs(&[always("key", &TEXT), always("value", &I64), always("remove", &I8)])),
        ]),
    ),
    always("validate_only", &I8),
];

pub(super) const DESCRIBE_USER_SCRAM_CREDENTIALS: &[Field] =
    &[always("users", &structs(&[always("name", &TEXT)]))];

pub(super) const ALTER_USER_SCRAM_CREDENTIALS: &[Field] = &[
    always("deletions", &structs(&[always("name", &TEXT), always("mechanism", &I8)])),
    always(
        "upsertions",
        &structs(&[
            always("name", &TEXT),
            always("mechanism", &I8),
            always("iterations", &I32),
            always("salt", &BLOB),
            always("salted_password", &BLOB),
        ]),
    ),
];
