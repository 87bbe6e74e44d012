//! Colours, where a terminal shows them.

use std::fmt::Display;
use std::io::IsTerminal;

/// Writes in colours, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink(bool);

impl Ink {
    /// In colours where `stream` is a terminal, and nobody has asked for none (`NO_COLOR`, a dumb terminal).
    pub fn on(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stream.is_terminal() && !unwanted && !dumb)
    }

    /// As it should be.
    pub fn good(self, text: impl Display) -> String {
        self.write("32", text)
    }

    /// As it should not be.
    pub fn bad(self, text: impl Display) -> String {
        self.write("1;31", text)
    }

    /// Of less interest.
    pub fn soft(self, text: impl Display) -> String {
        self.write("2", text)
    }

    fn write(self, colour: &str, text: impl Display) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_string() }
    }
}
