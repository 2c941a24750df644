//! What AlterConfigs and IncrementalAlterConfigs share: resources, and levels of the log.

use super::Context;
use ottla_core::controller::{AlterConfig, AlterOp, ApiError, Reply, Request};
use ottla_core::metadata::{ConfigResource, ConfigResourceKind};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

/// The resource type of log levels; it never reaches the controller.
pub const BROKER_LOGGER: i8 = 8;

/// A resource as requests name it.
pub type Named = (i8, StrBytes);
/// What became of one resource.
pub type Altered = (Named, Result<(), ApiError>);

/// The resource that the controller knows.
///
/// # Errors
/// For a type that there is not.
pub fn resource(named: &Named) -> Result<ConfigResource, ApiError> {
    let kind = ConfigResourceKind::from_id(i32::from(named.0)).ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidRequest, format!("Unknown resource type {}.", named.0))
    })?;
    Ok(ConfigResource { kind, name: named.1.to_string() })
}

/// Asks the controller and puts each answer to its resource.
pub async fn submit(context: &Context, request: Request, named: Vec<Named>) -> Vec<Altered> {
    let failed = |error: ErrorCode, named: Vec<Named>| -> Vec<Altered> {
        named.into_iter().map(|named| (named, Err(error.into()))).collect()
    };
    if named.is_empty() {
        return Vec::new();
    }
    match context.broker.metadata.submit(request).await {
        Ok(Reply::AlterConfigs(results)) => {
            named.into_iter().zip(results.into_iter().map(|(_, result)| result)).collect()
        }
        Ok(_) => failed(ErrorCode::UnknownServerError, named),
        Err(error) => failed(error, named),
    }
}

/// Changes levels of this broker's log. Nothing is kept over a restart, as with Kafka.
///
/// # Errors
/// For a level that there is not, or an operation that makes no sense.
pub fn alter_loggers(
    context: &Context,
    broker: &str,
    changes: &[AlterConfig],
    validate_only: bool,
) -> Result<(), ApiError> {
    if broker.parse() != Ok(context.broker.id().0) {
        let message =
            format!("Unexpected broker id, expected {}, but received {broker}", context.broker.id());
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    for change in changes {
        let level = match change.op {
            AlterOp::Set => change.value.as_deref(),
            AlterOp::Delete => None,
            AlterOp::Append | AlterOp::Subtract => {
                let message = "Levels of the log can be set and deleted only.";
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        if validate_only {
            continue;
        }
        let target = change.key.as_str();
        let set = context.broker.levels.set_target(target, level);
        set.map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))?;
    }
    Ok(())
}
