//! Arrays of tables: what all kinds of rows have in common.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Place;
use super::suggest::nearest;
use super::values::Values;

/// What a row's `scopes` are.
pub(super) const SCOPES: &str = "is a list of \"ingest\", \"query\", \"admin\", with at least one";
/// How many rows of a kind a file may hold.
const MAX_ROWS: usize = 100_000;

/// A kind of row.
pub(super) struct Kind {
    /// The key of the array, such as `auth.tokens`.
    pub(super) key: &'static str,
    /// What one is called.
    pub(super) noun: &'static str,
    /// The fields of one.
    pub(super) fields: &'static [&'static str],
}

/// A row, as written.
pub(super) struct Row<'a> {
    table: &'a DeTable<'a>,
    kind: &'a Kind,
    key: String,
    /// Where it stands.
    pub(super) at: Place,
    place: &'a dyn Fn(usize) -> Place,
}

/// Reads the rows of an array of tables by `read`, which notes what is wrong with one and returns nothing then; `place` tells the
/// place of a byte of the source. `None` when it is no such array.
pub(super) fn read<T>(
    kind: &Kind,
    value: &DeValue<'_>,
    at: Place,
    place: &dyn Fn(usize) -> Place,
    values: &mut Values,
    read: impl Fn(&Row<'_>, &mut Values) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(rows) = value.as_array() else {
        values.problem(
            at,
            kind.key,
            format!("is not a list of tables; begin each {} with [[{}]]", kind.noun, kind.key),
        );
        return None;
    };
    if rows.len() > MAX_ROWS {
        let message = format!("holds {} {}s; at most {MAX_ROWS} are allowed", rows.len(), kind.noun);
        values.problem(at, kind.key, message);
        return None;
    }
    let mut found = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let key = format!("{}[{number}]", kind.key);
        let at = place(row.span().start);
        let Some(table) = row.get_ref().as_table() else {
            values.problem(at, key, "is not a table");
            continue;
        };
        let row = Row { table, kind, key, at, place };
        let before = values.problems.len();
        row.check_fields(values);
        let one = read(&row, values);
        found.extend(one.filter(|_| values.problems.len() == before));
    }
    Some(found)
}

impl Row<'_> {
    fn check_fields(&self, values: &mut Values) {
        for name in self.table.keys() {
            let field = name.get_ref().as_ref();
            if !self.kind.fields.contains(&field) {
                let near = nearest(field, self.kind.fields.iter().copied());
                let hint = near.map(|known| format!("; do you mean \"{known}\"?")).unwrap_or_default();
                let message = format!("is not a field of a {}{hint}", self.kind.noun);
                values.problem((self.place)(name.span().start), format!("{}.{field}", self.key), message);
            }
        }
    }

    /// The value of a field.
    pub(super) fn find(&self, field: &str) -> Option<&Spanned<DeValue<'_>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == field).map(|(_, value)| value)
    }

    /// Notes what is wrong with a field, where it stands, or else where the row does.
    pub(super) fn problem(&self, field: &str, message: &str, values: &mut Values) {
        let at = self.find(field).map_or_else(|| self.at.clone(), |value| (self.place)(value.span().start));
        values.problem(at, format!("{}.{field}", self.key), message);
    }

    /// The text of a field that must be there.
    pub(super) fn text(&self, field: &str, values: &mut Values) -> Option<String> {
        if self.find(field).is_none() {
            self.problem(field, "is missing", values);
        }
        self.text_if_any(field, values)
    }

    /// The text of a field that may be left out.
    pub(super) fn text_if_any(&self, field: &str, values: &mut Values) -> Option<String> {
        let text = self.find(field)?.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.problem(field, "is not a text, or empty", values);
        }
        text.map(str::to_owned)
    }

    /// The list of texts, at least one, of a field that must be there; `right` says what it is.
    pub(super) fn texts(&self, field: &str, right: &str, values: &mut Values) -> Option<Vec<String>> {
        let list = self.find(field).and_then(|value| value.get_ref().as_array());
        let texts: Option<Vec<String>> =
            list.and_then(|list| list.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect());
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            self.problem(field, right, values);
        }
        texts
    }
}
