//! What is said to a cluster, and what it says.

use serde_json::{Map, Value, json};

use super::super::order::Order;
use super::super::way::Seen;
use crate::domain::text;

/// The Job of something: one try, one pod, no rights.
pub(super) fn job(order: &Order<'_>) -> Value {
    let (spec, name) = (order.spec, order.name());
    let labels = labels(order);
    let volume = |index: usize| format!("scratch-{index}");
    let variables: Vec<_> = spec
        .environment
        .iter()
        .filter(|(name, _)| !order.secrets.contains_key(*name))
        .map(|(name, value)| json!({ "name": name, "value": literal(value) }))
        .collect();
    let mounts: Vec<_> = (spec.scratch.iter().enumerate())
        .map(|(index, folder)| json!({ "name": volume(index), "mountPath": folder }))
        .collect();
    let volumes: Vec<_> = (0..spec.scratch.len())
        .map(|index| json!({ "name": volume(index), "emptyDir": { "medium": "Memory" } }))
        .collect();
    let arguments: Vec<_> = spec.arguments.iter().map(|word| literal(word)).collect();
    let from: Vec<_> = if order.secrets.is_empty() {
        vec![]
    } else {
        vec![json!({ "secretRef": { "name": name } })]
    };
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "activeDeadlineSeconds": order.seconds,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 60,
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 10,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": NOBODY,
                        "runAsGroup": NOBODY,
                        "fsGroup": NOBODY,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": "it",
                        "image": spec.image,
                        "args": arguments,
                        "env": variables,
                        "envFrom": from,
                        "volumeMounts": mounts,
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                    }],
                    "volumes": volumes,
                },
            },
        },
    })
}

/// The Secret of a Job, which goes with it.
pub(super) fn secret(order: &Order<'_>, uid: &str) -> Value {
    let name = order.name();
    let values: Map<String, Value> = (order.secrets.iter())
        .map(|(name, value)| (name.clone(), Value::from(value.expose())))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": true,
        "metadata": {
            "name": name,
            "labels": labels(order),
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": name,
                "uid": uid,
            }],
        },
        "stringData": values,
    })
}

/// Reads a list of what bears a name: Jobs, Secrets and pods. Nothing where it is no such list.
pub(super) fn seen(said: &str) -> Option<Seen> {
    let list: Value = serde_json::from_str(said).ok()?;
    let items = list.get("items")?.as_array()?;
    let of = |kind: &str| items.iter().find(|item| item["kind"] == kind);
    if items.is_empty() {
        return Some(Seen::Absent);
    }
    let Some(job) = of("Job") else { return Some(Seen::Left) };
    let is_going = job.pointer("/metadata/deletionTimestamp").is_some();
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let is_over = |condition: &Value| {
        let kind = condition["type"].as_str().unwrap_or_default();
        ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].contains(&kind)
            && condition["status"] == "True"
    };
    let is_over = conditions.is_some_and(|all| all.iter().any(is_over));
    let from = job.pointer("/spec/template/spec/containers/0/envFrom").and_then(Value::as_array);
    let lacks_secret = from.is_some_and(|from| !from.is_empty()) && of("Secret").is_none();
    let runs = !is_going && !is_over && !lacks_secret;
    Some(if runs { Seen::Runs } else { Seen::Left })
}

/// Why the pods of a list do not run, where the cluster says.
pub(super) fn waiting(said: &str) -> Option<String> {
    let list: Value = serde_json::from_str(said).ok()?;
    let mut whys = vec![];
    for pod in list.get("items")?.as_array()? {
        let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let waiting = container.pointer("/state/waiting")?;
            let word = |name: &str| text::shown(waiting[name].as_str().unwrap_or_default());
            whys.push(format!("{}: {}", word("reason"), word("message")));
        }
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        let unmet = conditions.into_iter().flatten().filter(|it| it["status"] == "False");
        whys.extend(unmet.filter_map(|it| Some(text::shown(it["message"].as_str()?))));
    }
    whys.into_iter().next()
}

fn labels(order: &Order<'_>) -> Value {
    json!({
        "breakglass/installation": order.spec.marker.installation,
        "breakglass/session": order.spec.marker.session,
        "breakglass/name": order.name(),
    })
}

/// A text in which the cluster puts nothing in place of `$(NAME)`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A user that is nobody on any node.
const NOBODY: u32 = 65_532;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[Value]) -> String {
        json!({ "kind": "List", "items": items }).to_string()
    }

    #[test]
    fn a_job_runs_with_its_secret_and_without_an_end() {
        let from = json!([{ "secretRef": { "name": "x" } }]);
        let job = |more: Value| {
            let spec = json!({ "template": { "spec": { "containers": [{ "envFrom": from }] } } });
            json!({ "kind": "Job", "metadata": {}, "spec": spec, "status": more })
        };
        let secret = json!({ "kind": "Secret" });
        let failed = json!({ "conditions": [{ "type": "Failed", "status": "True" }] });
        assert_eq!(seen(&list(&[])), Some(Seen::Absent));
        assert_eq!(seen(&list(&[job(json!({})), secret.clone()])), Some(Seen::Runs));
        assert_eq!(seen(&list(&[job(json!({}))])), Some(Seen::Left), "half made");
        assert_eq!(seen(&list(&[job(failed), secret.clone()])), Some(Seen::Left));
        assert_eq!(seen(&list(&[secret])), Some(Seen::Left));
        assert_eq!(seen(&list(&[json!({ "kind": "Pod" })])), Some(Seen::Left));
        assert_eq!(seen("<html>"), None);
    }

    #[test]
    fn why_a_pod_waits_is_told() {
        let state =
            json!({ "waiting": { "reason": "ErrImagePull", "message": "no\u{1b}[m such" } });
        let pod = json!({ "status": { "containerStatuses": [{ "state": state }] } });
        assert_eq!(waiting(&list(&[pod])).unwrap(), "ErrImagePull: no<1B>[m such");
    }
}
