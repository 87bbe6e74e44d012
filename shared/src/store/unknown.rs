//! Two versions of the code work on one table: while a deployment is under way, and while one is taken back. A write replaces
//! an item by what the struct knows, so what the other version has added must come along.
//!
//! *Adding a field*: give it a `#[serde(default)]`, name it in its kind's [`Shape`] (a test says so), and older code carries
//! it through its writes. Where older code must not touch an item that has it, because the field changes what is right to do,
//! raise the kind's [`schema`](Shape::schema), too: older code leaves such an item to the next try, and says so.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{StoreError, n};
use crate::key::Item;
use crate::subscription::unknown::Unknown;

/// The attribute that says by which schema an item was written; 1 where it is missing.
pub(super) const SCHEMA: &str = "schema";

/// What this version knows of a kind of item.
pub(super) struct Shape {
    /// The newest schema that this version understands.
    pub(super) schema: u32,
    /// Its attributes.
    pub(super) known: &'static [&'static str],
    /// Its nested objects: the attribute, what tells one such object from another, and all that is known in it.
    pub(super) nested: &'static [Nested],
}

/// What is known of a nested object.
pub(super) struct Nested {
    /// The attribute that holds it.
    pub(super) name: &'static str,
    /// Where this differs, it is another object, and what was unknown in the old one isn't the new one's.
    pub(super) identity: &'static str,
    /// Its attributes.
    pub(super) known: &'static [&'static str],
}

impl Shape {
    /// Reads `item`, and beside it what it holds that isn't known.
    pub(super) fn read<T: DeserializeOwned>(&self, item: Item, task: &'static str) -> Result<(T, Unknown), StoreError> {
        self.check(&item, task)?;
        let unknown = self.unknown(&item);
        let known = serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(task, &e))?;
        Ok((known, unknown))
    }

    /// An item of a newer schema than this version understands is left alone.
    fn check(&self, item: &Item, task: &'static str) -> Result<(), StoreError> {
        let schema = item.get(SCHEMA).and_then(|schema| schema.as_n().ok()?.parse::<u32>().ok()).unwrap_or(1);
        match schema <= self.schema {
            true => Ok(()),
            false => {
                let reason = format!(
                    "the item was written by a newer version (schema {schema}, and this one knows {}); it is left to the next try",
                    self.schema
                );
                Err(StoreError::Unavailable { task, reason })
            }
        }
    }

    /// What `item`, as it was read, holds that isn't known.
    fn unknown(&self, item: &Item) -> Unknown {
        let mut attributes = Map::new();
        for (name, value) in item {
            if !self.known.contains(&name.as_str()) {
                attributes.insert(name.clone(), plain(value));
            } else if let Some(nested) = self.nested.iter().find(|nested| nested.name == name)
                && let AttributeValue::M(object) = value
            {
                let unknown = object.iter().filter(|(name, _)| !nested.known.contains(&name.as_str()));
                let mut unknown: Map<String, Value> =
                    unknown.map(|(name, value)| (name.clone(), plain(value))).collect();
                if !unknown.is_empty() {
                    let identity = object.get(nested.identity).map_or(Value::Null, plain);
                    unknown.insert(nested.identity.to_owned(), identity);
                    attributes.insert(name.clone(), Value::Object(unknown));
                }
            }
        }
        Unknown::new(attributes)
    }

    /// Puts what wasn't known back into an item that is about to be written, and says by which schema it is written.
    pub(super) fn complete(&self, item: &mut Item, unknown: &Unknown) {
        item.entry(SCHEMA.to_owned()).or_insert_with(|| n(self.schema));
        for (name, value) in unknown.attributes().into_iter().flatten() {
            match self.nested.iter().find(|nested| nested.name == name) {
                None => drop(item.entry(name.clone()).or_insert_with(|| attribute(value))),
                Some(nested) => {
                    if let (Some(AttributeValue::M(object)), Value::Object(unknown)) = (item.get_mut(name), value) {
                        let same = object.get(nested.identity).map_or(Value::Null, plain)
                            == unknown.get(nested.identity).cloned().unwrap_or_default();
                        for (name, value) in unknown.iter().filter(|_| same) {
                            object.entry(name.clone()).or_insert_with(|| attribute(value));
                        }
                    }
                }
            }
        }
    }
}

/// As JSON. Sets and bytes, which no version writes, are no part of it.
fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(number) => serde_json::from_str(number).unwrap_or_default(),
        AttributeValue::Bool(is) => Value::Bool(*is),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::M(object) => {
            Value::Object(object.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        _ => Value::Null,
    }
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(is) => AttributeValue::Bool(*is),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Value::Object(object) => {
            AttributeValue::M(object.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const BOX: Shape = Shape {
        schema: 2,
        known: &["pk", "schema", "lid"],
        nested: &[Nested { name: "lid", identity: "color", known: &["color"] }],
    };

    fn item(value: &Value) -> Item {
        match attribute(value) {
            AttributeValue::M(item) => item,
            _ => Item::new(),
        }
    }

    fn written_back(read: &Value, written: &Value) -> Value {
        let unknown = BOX.unknown(&item(read));
        let mut written = item(written);
        BOX.complete(&mut written, &unknown);
        plain(&AttributeValue::M(written))
    }

    #[test]
    fn what_is_not_known_is_written_back_as_it_was_read() {
        let read = json!({ "pk": "a", "handle": { "left": [1, true, null] }, "lid": { "color": "red", "hinge": 2 } });
        let wanted = json!({ "pk": "a", "schema": 2, "handle": { "left": [1, true, null] },
            "lid": { "color": "red", "hinge": 2 } });
        assert_eq!(written_back(&read, &json!({ "pk": "a", "lid": { "color": "red" } })), wanted);
        assert_eq!(BOX.unknown(&item(&json!({ "pk": "a", "lid": { "color": "red" } }))), Unknown::default());
    }

    #[test]
    fn what_was_in_another_object_is_not_put_into_the_one_that_took_its_place() {
        let read = json!({ "pk": "a", "lid": { "color": "red", "hinge": 2 } });
        let blue = json!({ "pk": "a", "schema": 2, "lid": { "color": "blue" } });
        assert_eq!(written_back(&read, &json!({ "pk": "a", "lid": { "color": "blue" } })), blue);
        assert_eq!(written_back(&read, &json!({ "pk": "a" })), json!({ "pk": "a", "schema": 2 }));
    }

    #[test]
    fn a_newer_schema_is_refused_and_no_schema_is_the_first() {
        for (schema, understood) in [(None, true), (Some(1), true), (Some(2), true), (Some(3), false)] {
            let read = item(&json!({ "schema": schema }));
            assert_eq!(BOX.check(&read, "open a box").is_ok(), understood, "{schema:?}");
        }
    }

    /// That a shape names all that an item with everything in it has, and nothing else. `keys` are what the store adds.
    pub(in crate::store) fn names_all(shape: &Shape, full: &Item, keys: &[&str]) {
        let names = |item: &Item| item.keys().cloned().collect::<BTreeSet<_>>();
        let own = |known: &[&str]| known.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let keys = own(keys);
        assert_eq!(&own(shape.known) - &keys, &names(full) - &keys);
        let mut objects = BTreeSet::new();
        for (name, value) in full {
            if let AttributeValue::M(object) = value {
                objects.insert(name.clone());
                let nested =
                    shape.nested.iter().find(|nested| nested.name == name).expect("an object that no shape names");
                assert_eq!(own(nested.known), names(object), "{name}");
                assert!(nested.known.contains(&nested.identity), "{name}");
            }
        }
        assert_eq!(shape.nested.iter().map(|nested| nested.name.to_owned()).collect::<BTreeSet<_>>(), objects);
    }
}
