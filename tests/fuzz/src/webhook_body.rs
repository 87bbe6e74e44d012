use jiff::Timestamp;
use maedal::queue::Message;
use webhook::Notice;

/// The body of a webhook, as each content type.
///
/// # Panics
/// Where it is read as a hint that the queue wouldn't take.
pub fn webhook_body(input: &[u8]) {
    for content_type in ["application/json", "application/x-www-form-urlencoded", ""] {
        let Ok(notice) = Notice::read(content_type, input) else { continue };
        assert!(notice.imp_uid.chars().count() <= 32 && notice.merchant_uid.chars().count() <= 40);
        let message = Message::Hint(notice.hint(Timestamp::UNIX_EPOCH));
        crate::queue_message::reads_back(&message);
        // SQS takes names of up to 128 letters, digits and marks.
        for name in [message.group(), message.deduplication_id()] {
            assert!((1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
    }
}
