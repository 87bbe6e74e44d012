use notify::{StreamEvent, tell};
use serde_json::Value;

/// A record of the table's stream: it becomes events that a consumer can tell apart, or is told to be unreadable.
///
/// # Panics
/// Where two events have one id, or one can't be written.
pub fn stream_record(input: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Value>(input) else { return };
    let (told, unreadable) = tell(StreamEvent { records: vec![record.clone()] });
    assert!(unreadable.is_none_or(|number| record.to_string().contains(&number)));
    let mut ids: Vec<String> = told.iter().map(|(_, event)| event.id.clone()).collect();
    for (_, event) in &told {
        assert!(!event.id.is_empty() && serde_json::to_string(event).is_ok());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told.len());
}
