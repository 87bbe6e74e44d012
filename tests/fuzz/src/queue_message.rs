use maedal::queue::Message;

/// A message on the queue: what is read is written as it was.
///
/// # Panics
/// Where it isn't.
pub fn queue_message(input: &[u8]) {
    if let Ok(message) = serde_json::from_slice(input) {
        reads_back(&message);
    }
}

/// What `charge` reads is what was sent.
pub(crate) fn reads_back(message: &Message) {
    let text = serde_json::to_string(message).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Message>(&text).ok().as_ref(), Some(message), "{text}");
}
