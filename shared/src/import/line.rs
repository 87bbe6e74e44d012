//! From bytes to lines, and from a line to a row's fields.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Format;
use super::row::{Code, Read, Refusal};

/// What Excel puts in front of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// As many characters as a customer_uid may have.
const LONGEST_SHOWN: usize = 80;

/// The columns that a CSV file may have, and what each holds.
const COLUMNS: [(&str, Kind); 17] = [
    ("customer_uid", Kind::Text),
    ("customer_id", Kind::Text),
    ("plan", Kind::Text),
    ("plan_version", Kind::Number),
    ("next_charge", Kind::Text),
    ("anchor_day", Kind::Number),
    ("period", Kind::Number),
    ("pg", Kind::Text),
    ("paid", Kind::Number),
    ("credit", Kind::Number),
    ("paused", Kind::Flag),
    ("cancel_at_period_end", Kind::Flag),
    ("buyer_name", Kind::Buyer("name")),
    ("buyer_email", Kind::Buyer("email")),
    ("buyer_tel", Kind::Buyer("tel")),
    ("buyer_addr", Kind::Buyer("addr")),
    ("buyer_postcode", Kind::Buyer("postcode")),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    Buyer(&'static str),
}

/// The columns of a CSV file, in the order of its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(Vec<String>);

impl Columns {
    /// Reads the first line. The error says what is wrong with the whole file.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let names = fields(line).map_err(|refusal| format!("the first line: {}", refusal.detail))?;
        for (place, name) in names.iter().enumerate() {
            if !COLUMNS.iter().any(|(known, _)| known == name) {
                let known: Vec<&str> = COLUMNS.iter().map(|(known, _)| *known).collect();
                let shown: String = name.chars().take(40).collect();
                return Err(format!("the first line: there is no column {shown:?}. There are {}", known.join(", ")));
            }
            if names[..place].contains(name) {
                return Err(format!("the first line: the column {name} is there twice"));
            }
        }
        for needed in ["customer_uid", "plan", "next_charge"] {
            if !names.iter().any(|name| name == needed) {
                return Err(format!("the first line: the column {needed} is missing"));
            }
        }
        Ok(Self(names))
    }

    fn object(&self, values: Vec<String>) -> Result<Value, Refusal> {
        if values.len() != self.0.len() {
            let (has, columns) = (values.len(), self.0.len());
            let detail = format!("it has {has} fields, and the first line {columns}. Is a comma or a quote missing?");
            return Err(Refusal::new(Code::Malformed, detail));
        }
        let (mut object, mut buyer) = (Map::new(), Map::new());
        for (name, text) in self.0.iter().zip(values) {
            let text = text.trim();
            let kind = COLUMNS.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
            // An empty field is as good as none.
            let Some(kind) = kind.filter(|_| !text.is_empty()) else { continue };
            match kind {
                Kind::Text => object.insert(name.clone(), text.into()),
                Kind::Buyer(field) => buyer.insert(field.to_owned(), text.into()),
                Kind::Number => {
                    let number: u64 = text.parse().map_err(|_| Refusal::field(name, "a whole number"))?;
                    object.insert(name.clone(), number.into())
                }
                Kind::Flag => {
                    let flag: bool = text.parse().map_err(|_| Refusal::field(name, "true or false"))?;
                    object.insert(name.clone(), flag.into())
                }
            };
        }
        object.insert("buyer".to_owned(), buyer.into());
        Ok(object.into())
    }
}

/// A line of a file that was read from its start: how many bytes it takes, its end included, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Bytes, with the line's end.
    pub length: usize,
    /// The text, without it.
    pub text: &'a [u8],
}

/// The whole lines of `bytes`; what follows the last line's end counts as one only where the file ends there.
pub fn lines(bytes: &[u8], to_the_end: bool) -> impl Iterator<Item = Line<'_>> {
    bytes.split_inclusive(|byte| *byte == b'\n').filter_map(move |whole| {
        let text = match whole.strip_suffix(b"\n") {
            Some(text) => text.strip_suffix(b"\r").unwrap_or(text),
            None if to_the_end => whole,
            None => return None,
        };
        Some(Line { length: whole.len(), text })
    })
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Whose key, where that could be read.
    pub customer_uid: Option<String>,
    /// A row, or why it is none.
    pub read: Result<Read, Refusal>,
}

/// Reads a line as a row. `None`: there is nothing on it.
pub fn parse(line: &[u8], format: Format, columns: Option<&Columns>) -> Option<Parsed> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    if line.trim_ascii().is_empty() {
        return None;
    }
    let object = match (format, columns) {
        (Format::Jsonl, _) => object(line),
        (Format::Csv, Some(columns)) => fields(line).and_then(|values| columns.object(values)),
        (Format::Csv, None) => Err(Refusal::new(Code::Malformed, "the columns have no names")),
    };
    let customer_uid = object.as_ref().ok().and_then(|object| object["customer_uid"].as_str());
    let customer_uid = customer_uid.map(|uid| uid.chars().take(LONGEST_SHOWN).collect());
    Some(Parsed { customer_uid, read: object.and_then(Read::of) })
}

fn object(line: &[u8]) -> Result<Value, Refusal> {
    // Where it stops making sense, and never what it says.
    serde_json::from_slice(utf8(line)?.as_bytes())
        .map_err(|e| Refusal::new(Code::Malformed, format!("not a JSON object on one line, at column {}", e.column())))
}

fn fields(line: &[u8]) -> Result<Vec<String>, Refusal> {
    let line = utf8(line)?;
    if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(Refusal::new(
            Code::Malformed,
            "a quote isn't closed. A row is one line: no field has a line break",
        ));
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    Ok(record.iter().map(|field| field.trim().to_owned()).collect())
}

fn utf8(line: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(line)
        .map_err(|_| Refusal::new(Code::Malformed, "not UTF-8. In Excel, save it as \"CSV UTF-8\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], to_the_end: bool) -> Vec<(usize, &[u8])> {
        lines(bytes, to_the_end).map(|line| (line.length, line.text)).collect()
    }

    #[test]
    fn a_line_without_an_end_counts_at_the_end_of_the_file_only() {
        assert_eq!(texts(b"a\r\nb\n\nc", false), [(3, &b"a"[..]), (2, b"b"), (1, b"")]);
        assert_eq!(texts(b"a\nc", true), [(2, &b"a"[..]), (1, b"c")]);
        assert_eq!(texts(b"a\n", true), [(2, &b"a"[..])]);
        assert_eq!(texts(b"", true), []);
    }

    #[test]
    fn the_first_line_names_the_columns() {
        let read = |text: &str| Columns::read(text.as_bytes());
        assert!(read("\u{feff}customer_uid,customer_id,plan,next_charge,buyer_name").is_ok());
        assert!(read("customer_uid, plan ,\"next_charge\",customer_id").is_ok());
        for (bad, why) in [
            ("customer_uid,plan", "next_charge is missing"),
            ("customer_uid,customer_id,plan,plan,next_charge", "twice"),
            ("customer_uid,customer_id,plan,next_chrage", "no column \"next_chrage\""),
            ("customer_uid;plan", "no column"),
            ("", "customer_uid is missing"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let columns = Columns::read(b"customer_uid,customer_id,plan,next_charge,anchor_day,buyer_name,paused").unwrap();
        let csv =
            parse("a,\"1, 2\",coffee,2027-01-31,31,\"홍 \"\"길동\"\"\",true".as_bytes(), Format::Csv, Some(&columns));
        let json = r#"{"customer_uid":"a","customer_id":"1, 2","plan":"coffee","next_charge":"2027-01-31","anchor_day":31,"buyer":{"name":"홍 \"길동\""},"paused":true}"#;
        let json = parse(json.as_bytes(), Format::Jsonl, None);
        assert!(csv.as_ref().is_some_and(|parsed| matches!(parsed.read, Ok(Read::Row(_)))), "{csv:?}");
        assert_eq!(csv, json);
        assert_eq!(parse(b" ", Format::Csv, Some(&columns)), None);
    }

    #[test]
    fn a_line_that_is_no_row_says_where_and_never_what() {
        let columns = Columns::read(b"customer_uid,customer_id,plan,next_charge").unwrap();
        for line in [&b"secret"[..], b"a,b,c,secret,e", b"a,\"secret,c,d", b"a,b,secret,\xb0\xa1"] {
            let Some(Parsed { read: Err(refusal), .. }) = parse(line, Format::Csv, Some(&columns)) else {
                panic!("{line:?}")
            };
            assert_eq!(refusal.code, Code::Malformed);
            assert!(!refusal.detail.contains("secret"), "{}", refusal.detail);
        }
        for line in [&b"{\"secret\":1"[..], b"secret", b"[\"secret\"]", b"{\"secret\":\"\xb0\"}"] {
            let Some(Parsed { read: Err(refusal), .. }) = parse(line, Format::Jsonl, None) else { panic!("{line:?}") };
            assert_eq!(refusal.code, Code::Malformed);
            assert!(!refusal.detail.contains("secret"), "{}", refusal.detail);
        }
    }
}
