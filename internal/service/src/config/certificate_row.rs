use toml::de::{DeTable, DeValue};

use super::Place;
use super::suggest::nearest;
use super::token_row::texts;
use super::values::Values;

/// A row of `[[auth.certificates]]`, as written. What its texts mean is decided by who uses them; [`CertificateRow::place`] says
/// where a fault is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// A subject alternative name: a URI or a DNS name.
    pub san: String,
    /// The tenant for whom its holder speaks.
    pub tenant: String,
    /// What it may do: `ingest`, `query`, `admin`, `operator`.
    pub scopes: Vec<String>,
    /// Where the row stands.
    pub place: Place,
}

const KEY: &str = "auth.certificates";
const FIELDS: [&str; 3] = ["san", "tenant", "scopes"];
/// How many rows a file may hold.
const MAX_ROWS: usize = 100_000;

/// Reads the rows of an array of tables; `place` tells the place of a byte of the source.
pub(super) fn read(value: &DeValue<'_>, at: Place, place: &dyn Fn(usize) -> Place, values: &mut Values) {
    let Some(rows) = value.as_array() else {
        values.problem(at, KEY, "is not a list of tables; begin each with [[auth.certificates]]");
        return;
    };
    if rows.len() > MAX_ROWS {
        values.problem(at, KEY, format!("holds {} rows; at most {MAX_ROWS} are allowed", rows.len()));
        return;
    }
    let mut certificates = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let key = format!("{KEY}[{number}]");
        let at = place(row.span().start);
        match row.get_ref().as_table() {
            Some(table) => certificates.extend(read_row(table, &key, at, place, values)),
            None => values.problem(at, key, "is not a table"),
        }
    }
    values.certificates = Some((certificates, at));
}

fn read_row(
    table: &DeTable<'_>,
    key: &str,
    at: Place,
    place: &dyn Fn(usize) -> Place,
    values: &mut Values,
) -> Option<CertificateRow> {
    let before = values.problems.len();
    for name in table.keys() {
        let field = name.get_ref().as_ref();
        if !FIELDS.contains(&field) {
            let hint = nearest(field, FIELDS).map(|known| format!("; do you mean \"{known}\"?")).unwrap_or_default();
            let message = format!("is not a field of a certificate{hint}");
            values.problem(place(name.span().start), format!("{key}.{field}"), message);
        }
    }
    let find = |field: &str| table.iter().find(|(name, _)| name.get_ref() == field).map(|(_, value)| value);
    let mut text = |field: &'static str| -> Option<String> {
        let found = find(field);
        let text = found.and_then(|value| value.get_ref().as_str()).filter(|text| !text.trim().is_empty());
        if text.is_none() {
            let (at, message) = match found {
                Some(value) => (place(value.span().start), "is not a text, or empty"),
                None => (at.clone(), "is missing"),
            };
            values.problem(at, format!("{key}.{field}"), message);
        }
        text.map(str::to_owned)
    };
    let (san, tenant) = (text("san"), text("tenant"));
    let scopes = find("scopes").and_then(texts);
    if scopes.is_none() {
        let at = find("scopes").map_or(at.clone(), |value| place(value.span().start));
        values.problem(at, format!("{key}.scopes"), "is a list of \"ingest\", \"query\", \"admin\", with at least one");
    }
    if values.problems.len() > before {
        return None;
    }
    Some(CertificateRow { san: san?, tenant: tenant?, scopes: scopes?, place: at })
}
