use maedal::subscription::MerchantUid;

/// A name is read only as it is written: two texts never mean the same attempt.
///
/// # Panics
/// Where it isn't.
pub fn merchant_uid(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(name) = text.parse::<MerchantUid>() else { return };
    assert_eq!(name.to_string(), text);
    assert!(text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
}
