use complete::Hint;

/// The query on the way back from the payment window.
///
/// # Panics
/// Where more is taken from it than a name of ours, a name of I'mport's and a short message.
pub fn redirect_query(input: &[u8]) {
    let Ok(query) = std::str::from_utf8(input) else { return };
    let Ok(hint) = Hint::read(query) else { return };
    assert!(query.contains("merchant_uid"), "{query}");
    assert!(hint.imp_uid.is_none_or(|imp_uid| imp_uid.as_str().chars().count() <= 32), "{query}");
    let message = hint.error_msg.unwrap_or_default();
    assert!(message.chars().count() <= 200, "{query}");
    assert!(hint.says_failed || message.is_empty(), "{query}");
}
