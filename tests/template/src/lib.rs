//! `template.yaml`, read as CloudFormation reads it: the short tags (`!Ref`, `!GetAtt`, `!Sub`) in their long form.

use std::collections::BTreeMap;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Value);

/// What a role or a managed policy allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The logical id of the role or policy that says so.
    pub by: String,
    /// One action.
    pub action: String,
    /// On one resource, as the template writes it: `Table.Arn`, `${Table.Arn}/index/due`.
    pub resource: String,
}

#[allow(clippy::missing_panics_doc, clippy::expect_used)]
impl Template {
    /// Reads the workspace's template.
    pub fn read() -> Self {
        let text = std::fs::read_to_string(workspace().join("template.yaml")).expect("template.yaml");
        let documents = Yaml::load_from_str(&text).expect("YAML");
        Self(long_form(documents.first().expect("a document")))
    }

    /// A value by its JSON pointer; null where there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The properties of a resource.
    pub fn properties(&self, id: &str) -> &Value {
        self.at(&format!("/Resources/{id}/Properties"))
    }

    /// The logical ids of a type's resources.
    pub fn ids(&self, kind: &str) -> Vec<&str> {
        let all = self.at("/Resources").as_object().expect("resources");
        all.iter().filter(|(_, resource)| resource["Type"] == kind).map(|(id, _)| id.as_str()).collect()
    }

    /// A template of one resource, as JSON.
    pub fn only(&self, id: &str) -> Value {
        let resource = self.at(&format!("/Resources/{id}"));
        json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": { id: resource } })
    }

    /// The functions: binary -> logical id.
    pub fn functions(&self) -> BTreeMap<&str, &str> {
        let ids = self.ids("AWS::Serverless::Function");
        ids.into_iter()
            .map(|id| {
                let binary = self.at(&format!("/Resources/{id}/Metadata/BuildProperties/Binary"));
                (binary.as_str().expect("a binary"), id)
            })
            .collect()
    }

    /// The environment of a function: the globals and its own.
    pub fn environment(&self, id: &str) -> Map<String, Value> {
        let own = &self.properties(id)["Environment"]["Variables"];
        let global = self.at("/Globals/Function/Environment/Variables");
        [global, own].into_iter().filter_map(Value::as_object).flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// All that a function may do.
    pub fn permissions(&self, id: &str) -> Vec<Permission> {
        let role = self.properties(id)["Role"]["Fn::GetAtt"][0].as_str().expect("a role of its own");
        let mut all = self.permissions_of(role);
        for policy in list(&self.properties(role)["ManagedPolicyArns"]) {
            all.extend(self.permissions_of(policy["Ref"].as_str().expect("a policy of the template")));
        }
        // Attached by the policy itself, where that is there under a condition.
        for policy in self.ids("AWS::IAM::ManagedPolicy") {
            if list(&self.properties(policy)["Roles"]).iter().any(|to| to["Ref"] == role) {
                all.extend(self.permissions_of(policy));
            }
        }
        all.sort();
        all
    }

    /// What a role says by itself, or a managed policy.
    pub fn permissions_of(&self, id: &str) -> Vec<Permission> {
        let properties = self.properties(id);
        let inline = list(&properties["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
        let mut all = Vec::new();
        for document in inline.chain([&properties["PolicyDocument"]]) {
            for statement in list(&document["Statement"]) {
                assert_eq!(statement["Effect"], "Allow", "{id}");
                for action in list(&statement["Action"]) {
                    for resource in list(&statement["Resource"]) {
                        all.push(Permission {
                            by: id.to_owned(),
                            action: action.as_str().expect("an action").to_owned(),
                            resource: shown(resource),
                        });
                    }
                }
            }
        }
        all
    }
}

/// A list, or one value in place of a list of one.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn shown(resource: &Value) -> String {
    if let Some(id) = resource["Ref"].as_str() {
        return id.to_owned();
    }
    match (&resource["Fn::GetAtt"], &resource["Fn::Sub"], resource) {
        (Value::Array(path), _, _) => path.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."),
        (_, Value::String(text), _) | (_, _, Value::String(text)) => text.clone(),
        (_, _, other) => other.to_string(),
    }
}

fn long_form(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => json!(value),
            Scalar::Integer(value) => json!(value),
            Scalar::FloatingPoint(value) => json!(value.0),
            Scalar::String(value) => json!(value),
        },
        Yaml::Sequence(items) => Value::Array(items.iter().map(long_form).collect()),
        Yaml::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|(name, value)| (name.as_str().unwrap_or_default().to_owned(), long_form(value)))
                .collect(),
        ),
        Yaml::Tagged(tag, value) => match (tag.suffix.as_str(), long_form(value)) {
            ("Ref", value) => json!({ "Ref": value }),
            ("Condition", value) => json!({ "Condition": value }),
            ("GetAtt", Value::String(path)) => json!({ "Fn::GetAtt": path.splitn(2, '.').collect::<Vec<_>>() }),
            (name, value) => json!({ format!("Fn::{name}"): value }),
        },
        // CloudFormation takes no aliases.
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}
