/// The shape of a value, as the file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A whole number.
    Whole,
    /// A string such as `64MiB`, or a whole number of bytes.
    Amount,
    /// A string such as `5m`.
    Span,
    /// `true` or `false`.
    Switch,
    /// An array of strings, or one string with commas.
    List,
    /// An array of tables.
    Rows,
}

impl Shape {
    /// How the shape is called in messages and in the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whole => "whole number",
            Self::Amount => "bytes",
            Self::Span => "span of time",
            Self::Switch => "true or false",
            Self::List => "list of texts",
            Self::Rows => "tables",
        }
    }
}

/// One key: how it is called everywhere, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file, with dots: `processor.flush_bytes`.
    pub name: &'static str,
    /// Names in the environment that are honoured beside the one made from `name`, which beats them.
    pub aliases: &'static [&'static str],
    /// What its value looks like.
    pub shape: Shape,
    /// Its default, as one would write it; empty when there is none.
    pub default: &'static str,
    /// Its default under `loglake dev`, where that differs.
    pub dev_default: Option<&'static str>,
    /// What it does, one sentence or more, in lines.
    pub doc: &'static [&'static str],
    /// Whether a value holds a secret.
    pub hides: fn(&str) -> bool,
}

impl Key {
    /// Its name in the environment: `LOGLAKE_PROCESSOR_FLUSH_BYTES`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("LOGLAKE_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Its names in the environment, the one that beats the others last.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.aliases.iter().rev().map(|name| (*name).to_owned()).chain([self.variable()])
    }

    /// What it does, as one text.
    #[must_use]
    pub fn about(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}
