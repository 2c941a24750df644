//! Settings that change while the brokers run.

use super::{Plan, Step};
use crate::config::Settings;
use crate::observed::Observed;

pub(super) fn plan(observed: &Observed<'_>, plan: &mut Plan) {
    let Ok(view) = &observed.brokers else { return };
    let wanted = &plan.config.dynamic;
    let noted = observed.cluster.status.as_ref().map(|status| status.dynamic_config_keys.as_slice());
    let noted = noted.unwrap_or_default();
    let differs = |(key, value): &(&String, &String)| view.dynamic.get(*key) != Some(*value);
    let set: Settings =
        wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect();
    // Only what the operator has set is taken back.
    let delete: Vec<String> = noted
        .iter()
        .filter(|key| !wanted.contains_key(*key) && view.dynamic.contains_key(*key))
        .cloned()
        .collect();
    let keys: Vec<String> = wanted.keys().cloned().collect();
    if !set.is_empty() || !delete.is_empty() || keys != noted {
        plan.steps.push(Step::AlterSettings { set, delete, keys });
    }
}
