use toml::de::DeValue;

use super::Place;
use super::rows::{self, Kind, Row, SCOPES};
use super::values::Values;

/// A row of `[[auth.tokens]]`, as written. What its texts mean is decided by who uses them; [`TokenRow::place`] says where
/// a fault is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The token's public part.
    pub id: String,
    /// SHA-256 of the whole token, 64 hexadecimal digits.
    pub sha256: String,
    /// Whose it is.
    pub tenant: String,
    /// What it may do: `ingest`, `query`, `admin`.
    pub scopes: Vec<String>,
    /// When it ends, RFC 3339.
    pub expires: Option<String>,
    /// Where the row stands.
    pub place: Place,
}

const KIND: Kind = Kind { key: "auth.tokens", noun: "token", fields: &["id", "sha256", "tenant", "scopes", "expires"] };

/// Reads the rows of an array of tables; `place` tells the place of a byte of the source.
pub(super) fn read(value: &DeValue<'_>, at: Place, place: &dyn Fn(usize) -> Place, values: &mut Values) {
    if let Some(tokens) = rows::read(&KIND, value, at.clone(), place, values, read_row) {
        values.tokens = Some((tokens, at));
    }
}

fn read_row(row: &Row<'_>, values: &mut Values) -> Option<TokenRow> {
    let (id, sha256, tenant) = (row.text("id", values), row.text("sha256", values), row.text("tenant", values));
    // A TOML date is as good as its text.
    let date = row.find("expires").and_then(|value| match value.get_ref() {
        DeValue::Datetime(date) => Some(date.to_string()),
        _ => None,
    });
    let expires = date.or_else(|| row.text_if_any("expires", values));
    let scopes = row.texts("scopes", SCOPES, values);
    Some(TokenRow { id: id?, sha256: sha256?, tenant: tenant?, scopes: scopes?, expires, place: row.at.clone() })
}
