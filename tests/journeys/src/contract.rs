//! The API's contract: whether an answer is one that `openapi.json` has.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../functions/manage/openapi.json")).unwrap_or_default());

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// What is wrong with an answer by the document; nothing where it is as described.
pub fn problem(method: &str, path: &str, status: u16, kind: &str, body: &Value) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(path) else {
        // Nothing is at such a path, and the answer says so.
        return (status != 404).then(|| format!("{path} is not in the document"));
    };
    let operation = &DOCUMENT["paths"][template][method.to_lowercase()];
    if operation.is_null() {
        return (status != 405).then(|| format!("{method} {template} is not in the document"));
    }
    let answer = &operation["responses"][status.to_string()];
    if answer.is_null() {
        return Some(format!("{method} {template} has no answer {status} in the document"));
    }
    let schema = &answer["content"][kind]["schema"];
    if schema.is_null() {
        return Some(format!("{method} {template} {status} is not {kind} in the document"));
    }
    match validate(schema, body) {
        Ok(()) => None,
        Err(error) => Some(format!("{method} {template} {status}: {error}\n{body}")),
    }
}

fn template(path: &str) -> Option<&'static str> {
    let fits = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
    };
    DOCUMENT["paths"].as_object()?.keys().map(String::as_str).find(|template| fits(template))
}

fn validate(schema: &Value, body: &Value) -> Result<(), String> {
    static VALIDATORS: Mutex<BTreeMap<String, jsonschema::Validator>> = Mutex::new(BTreeMap::new());
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = schema.to_string();
    if !validators.contains_key(&name) {
        let mut whole = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" });
        whole["components"] = DOCUMENT["components"].clone();
        whole["$ref"] = schema["$ref"].clone();
        let validator = jsonschema::validator_for(&whole).map_err(|e| e.to_string())?;
        validators.insert(name.clone(), validator);
    }
    match validators.get(&name) {
        Some(validator) => validator.validate(body).map_err(|e| format!("{} at {}", e, e.instance_path())),
        None => Err("no schema".to_owned()),
    }
}
