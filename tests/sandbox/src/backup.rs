//! The table as it was: point-in-time recovery, for the sandbox.

use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::types::Item;
use dynoxide::{DynoxideError, ImportOptions};

use crate::stack::{Parts, TABLE};

/// All items of a table.
#[derive(Debug, Clone)]
pub struct Backup(Vec<Item>);

impl Backup {
    /// Whether any item has this text anywhere.
    pub fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|item| serde_json::to_string(item).is_ok_and(|item| item.contains(text)))
    }
}

impl Parts {
    /// The table as it is.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn back_up(&self) -> Result<Backup, DynoxideError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let request =
                ScanRequest { table_name: TABLE.to_owned(), exclusive_start_key: from, ..ScanRequest::default() };
            let page = self.database().scan(request)?;
            items.extend(page.items.into_iter().flatten());
            match page.last_evaluated_key {
                Some(key) => from = Some(key),
                None => return Ok(Backup(items)),
            }
        }
    }

    /// The table as it was, and nothing of what was written since.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn restore(&self, backup: &Backup) -> Result<(), DynoxideError> {
        for item in self.back_up()?.0 {
            let key = item.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
            let request = DeleteItemRequest { table_name: TABLE.to_owned(), key, ..DeleteItemRequest::default() };
            self.database().delete_item(request)?;
        }
        self.database().import_items(TABLE, backup.0.clone(), ImportOptions::default()).map(drop)
    }
}
