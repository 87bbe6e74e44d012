//! Parameters by name, from JSON or from a form in PHP's notation (`merchant_uid[]=a`), with the length limits that
//! PortOne documents.

use serde_json::{Map, Value};

use crate::envelope::Envelope;

/// The parameters of a request: its query and its body, JSON or form, read the same way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Adds `a=1&list[]=x&nested[0][b]=y`, in PHP's notation as I'mport takes it.
    pub(crate) fn add_form(&mut self, form: &[u8]) {
        for (key, value) in form_urlencoded::parse(form) {
            let path: Vec<&str> = key.split('[').map(|part| part.trim_end_matches(']')).collect();
            insert(&mut self.0, &path, value.into_owned());
        }
    }

    /// Adds the members of a JSON object.
    pub(crate) fn add_json(&mut self, body: &[u8]) -> Result<(), Envelope> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => {
                self.0.extend(members);
                Ok(())
            }
            _ => Err(Envelope::bad_request("요청 본문이 올바른 JSON 객체가 아닙니다.")),
        }
    }

    /// All of them.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// One parameter as it was sent.
    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text, or a number written as one. An empty text counts as none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        as_text(self.raw(name)?).filter(|text| !text.is_empty())
    }

    /// A text of at most `longest` characters.
    pub(crate) fn short_text(&self, name: &str, longest: usize) -> Result<Option<String>, Envelope> {
        match self.text(name) {
            Some(text) if text.chars().count() > longest => {
                Err(Envelope::bad_request(format!("{name} 파라메터는 {longest}자를 넘을 수 없습니다.")))
            }
            text => Ok(text),
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&self, name: &str, longest: usize) -> Result<String, Envelope> {
        self.short_text(name, longest)?.ok_or_else(|| missing(name))
    }

    /// A whole number, sent as a number or as its text.
    pub(crate) fn whole<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, Envelope> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let whole = text.strip_suffix(".0").unwrap_or(&text);
        whole
            .parse::<i64>()
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| Envelope::bad_request(format!("{name} 파라메터가 올바르지 않습니다.")))
    }

    /// A whole number that must be there.
    pub(crate) fn required_whole<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Envelope> {
        self.whole(name)?.ok_or_else(|| missing(name))
    }

    /// A flag: `true` or `1`, else false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "1"))
    }

    /// A list of texts; a single text is a list of one.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.raw(name) {
            Some(Value::Array(items)) => items.iter().filter_map(as_text).collect(),
            Some(Value::Object(items)) => items.values().filter_map(as_text).collect(),
            Some(single) => as_text(single).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A list of objects, each a set of parameters.
    pub(crate) fn objects(&self, name: &str) -> Vec<Params> {
        let object = |item: &Value| item.as_object().cloned().map(Params);
        match self.raw(name) {
            Some(Value::Array(items)) => items.iter().filter_map(object).collect(),
            Some(Value::Object(items)) => items.values().filter_map(object).collect(),
            _ => Vec::new(),
        }
    }
}

/// 400 for a parameter that is not there, in the words of I'mport's token endpoint.
pub(crate) fn missing(names: &str) -> Envelope {
    Envelope::bad_request(format!("{names} 파라메터가 누락되었습니다."))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn insert(members: &mut Map<String, Value>, path: &[&str], value: String) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let key = match first.parse::<usize>() {
        // Padded, because the members of an object are sorted as texts.
        Ok(index) => format!("{index:06}"),
        Err(_) if first.is_empty() => format!("{:06}", members.len()),
        Err(_) => first.to_string(),
    };
    if rest.is_empty() {
        members.insert(key, Value::String(value));
    } else if let Value::Object(inner) = members.entry(key).or_insert_with(|| Value::Object(Map::new())) {
        insert(inner, rest, value);
    }
}
