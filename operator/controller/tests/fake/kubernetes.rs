//! Objects by path: GET, lists, server-side apply (the body is the object), merge patches, PUT, DELETE with conditions and
//! finalizers.

use super::Log;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct FakeKubernetes {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    log: Log,
}

impl FakeKubernetes {
    pub fn new(log: Log) -> Self {
        Self { objects: Arc::default(), log }
    }

    pub fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, std::convert::Infallible>(this.answer(request).await) }
        });
        kube::Client::new(service, "shop")
    }

    pub fn put(&self, path: &str, mut object: Value) {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.entry("resourceVersion").or_insert(json!("1"));
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    pub fn remove(&self, path: &str) {
        self.objects.lock().unwrap().remove(path);
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let query = parts.uri.query().unwrap_or_default();
        let (status, answer) = match parts.method {
            Method::GET => self.read(&path),
            Method::POST => (StatusCode::CREATED, body),
            Method::PATCH => {
                self.patch(&path, body, query.contains("fieldManager") && query.contains("force"))
            }
            Method::PUT => self.replace(&path, body),
            Method::DELETE => self.delete(&path, &body),
            _ => (StatusCode::METHOD_NOT_ALLOWED, Value::Null),
        };
        let body = Body::from(serde_json::to_vec(&answer).unwrap());
        Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
    }

    fn read(&self, path: &str) -> (StatusCode, Value) {
        let objects = self.objects.lock().unwrap();
        if let Some(object) = objects.get(path) {
            return (StatusCode::OK, object.clone());
        }
        let is_list =
            ["pods", "persistentvolumeclaims", "topics", "clusters"].iter().any(|kind| path.ends_with(kind));
        if !is_list {
            return missing(path);
        }
        let inside = format!("{path}/");
        let items: Vec<Value> = objects
            .iter()
            .filter(|(at, _)| at.starts_with(&inside))
            .map(|(_, object)| object.clone())
            .collect();
        (StatusCode::OK, json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
    }

    fn patch(&self, path: &str, body: Value, is_apply: bool) -> (StatusCode, Value) {
        self.log.note(format!("PATCH {path}"));
        let mut objects = self.objects.lock().unwrap();
        let object = objects.entry(path.to_owned()).or_insert(json!({"metadata": {"uid": path}}));
        merge(object, &body);
        if is_apply {
            object["metadata"]["generation"] = json!(1);
        }
        let answer = object.clone();
        if answer["metadata"]["deletionTimestamp"].is_string() && !is_held(&answer) {
            objects.remove(path);
        }
        (StatusCode::OK, answer)
    }

    fn replace(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.log.note(format!("PUT {path}"));
        let mut objects = self.objects.lock().unwrap();
        let Some(object) = objects.get_mut(path.trim_end_matches("/status")) else { return missing(path) };
        if object["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return conflict(path);
        }
        object["status"] = body["status"].clone();
        let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        (StatusCode::OK, object.clone())
    }

    fn delete(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let mut objects = self.objects.lock().unwrap();
        let Some(object) = objects.get_mut(path) else { return missing(path) };
        let wanted = &body["preconditions"];
        self.log.note(format!("DELETE {path} uid={} version={}", wanted["uid"], wanted["resourceVersion"]));
        for key in ["uid", "resourceVersion"] {
            if !wanted[key].is_null() && wanted[key] != object["metadata"][key] {
                return conflict(path);
            }
        }
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let object = object.clone();
        if !is_held(&object) {
            objects.remove(path);
        }
        (StatusCode::OK, object)
    }
}

fn is_held(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty())
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn failure(code: StatusCode, reason: &str, path: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason}: {path}"), "reason": reason, "code": code.as_u16()
    });
    (code, status)
}

fn missing(path: &str) -> (StatusCode, Value) {
    failure(StatusCode::NOT_FOUND, "NotFound", path)
}

fn conflict(path: &str) -> (StatusCode, Value) {
    failure(StatusCode::CONFLICT, "Conflict", path)
}
