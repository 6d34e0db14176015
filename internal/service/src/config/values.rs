use std::collections::BTreeMap;

use super::value::Value;
use super::{CertificateRow, Key, Place, Problem, TokenRow, keys};

/// A value as somebody wrote it.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

/// A value as `config show` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key's name.
    pub key: &'static str,
    /// The value, without what is secret; empty when there is none.
    pub value: String,
    /// Where it was set.
    pub place: Place,
}

/// The values of all sources, laid over each other, and what was wrong with them.
#[derive(Default)]
pub(super) struct Values {
    pub(super) is_dev: bool,
    pub(super) given: BTreeMap<&'static str, Given>,
    pub(super) tokens: Option<(Vec<TokenRow>, Place)>,
    pub(super) certificates: Option<(Vec<CertificateRow>, Place)>,
    pub(super) problems: Vec<Problem>,
    pub(super) shown: Vec<Shown>,
}

impl Values {
    /// Sets a key, over what was set before. An empty value is refused.
    pub(super) fn set(&mut self, key: &'static Key, text: String, place: Place) {
        if text.trim().is_empty() {
            self.problem(place, key.name, "is empty; give it a value or leave it out");
            return;
        }
        self.given.insert(key.name, Given { text, place });
    }

    /// Notes something wrong.
    pub(super) fn problem(&mut self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { place, key: key.into(), message: message.into() });
    }

    /// Where a key was set.
    pub(super) fn place(&self, key: &str) -> Place {
        self.given.get(key).map_or(Place::Default, |given| given.place.clone())
    }

    /// Reads a key's value, or its default. A value that cannot be read is noted, and the default stands in for it so that
    /// the rest can be checked too.
    pub(super) fn take<T: Value>(&mut self, name: &'static str) -> T {
        let key = keys().find(|key| key.name == name).expect("every section's keys are in the list");
        let default = if self.is_dev { key.dev_default.unwrap_or(key.default) } else { key.default };
        let default = || T::read(default).expect("a test reads every default");
        let place = self.place(name);
        let value = match self.given.get(name).map(|given| T::read(given.text.trim())) {
            None => default(),
            Some(Ok(value)) => value,
            Some(Err(message)) => {
                self.problem(place.clone(), name, message);
                default()
            }
        };
        self.shown.push(Shown { key: name, value: value.show(), place });
        value
    }

    /// Takes the token rows.
    pub(super) fn take_tokens(&mut self) -> Vec<TokenRow> {
        let (rows, place) = self.tokens.take().unwrap_or((Vec::new(), Place::Default));
        self.show_rows("auth.tokens", "token", rows.len(), place);
        rows
    }

    /// Takes the rows for client certificates.
    pub(super) fn take_certificates(&mut self) -> Vec<CertificateRow> {
        let (rows, place) = self.certificates.take().unwrap_or((Vec::new(), Place::Default));
        self.show_rows("auth.certificates", "certificate", rows.len(), place);
        rows
    }

    fn show_rows(&mut self, key: &'static str, what: &str, count: usize, place: Place) {
        let value = match count {
            0 => String::new(),
            n => format!("{n} {what}{}", if n == 1 { "" } else { "s" }),
        };
        self.shown.push(Shown { key, value, place });
    }
}
