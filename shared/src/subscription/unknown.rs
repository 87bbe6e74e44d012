//! What a newer version of the code has written into an item, and this one doesn't know: carried along, so that no write
//! loses it.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Attributes that aren't known here, by name; those of a nested object under its name. Opaque: nothing here decides by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown(Option<Arc<Map<String, Value>>>);

impl Unknown {
    /// These attributes; nothing is kept for none.
    pub(crate) fn new(attributes: Map<String, Value>) -> Self {
        Self((!attributes.is_empty()).then(|| Arc::new(attributes)))
    }

    /// The attributes.
    pub(crate) fn attributes(&self) -> Option<&Map<String, Value>> {
        self.0.as_deref()
    }
}
