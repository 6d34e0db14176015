use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Place;
use super::suggest::nearest;
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

const FIELDS: [&str; 5] = ["id", "sha256", "tenant", "scopes", "expires"];
/// How many tokens a file may hold.
const MAX_TOKENS: usize = 100_000;

/// Reads the rows of an array of tables; `place` tells the place of a byte of the source.
pub(super) fn read(value: &DeValue<'_>, at: Place, place: &dyn Fn(usize) -> Place, values: &mut Values) {
    let Some(rows) = value.as_array() else {
        values.problem(at, "auth.tokens", "is not a list of tables; begin each token with [[auth.tokens]]");
        return;
    };
    if rows.len() > MAX_TOKENS {
        values.problem(at, "auth.tokens", format!("holds {} tokens; at most {MAX_TOKENS} are allowed", rows.len()));
        return;
    }
    let mut tokens = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let key = format!("auth.tokens[{number}]");
        let at = place(row.span().start);
        match row.get_ref().as_table() {
            Some(table) => tokens.extend(read_row(table, &key, at, place, values)),
            None => values.problem(at, key, "is not a table"),
        }
    }
    values.tokens = Some((tokens, at));
}

fn read_row(
    table: &DeTable<'_>,
    key: &str,
    at: Place,
    place: &dyn Fn(usize) -> Place,
    values: &mut Values,
) -> Option<TokenRow> {
    let before = values.problems.len();
    for name in table.keys() {
        let field = name.get_ref().as_ref();
        if !FIELDS.contains(&field) {
            let hint = nearest(field, FIELDS).map(|known| format!("; do you mean \"{known}\"?")).unwrap_or_default();
            values.problem(
                place(name.span().start),
                format!("{key}.{field}"),
                format!("is not a field of a token{hint}"),
            );
        }
    }
    let mut text = |field: &'static str, is_required: bool| -> Option<String> {
        let found = table.iter().find(|(name, _)| name.get_ref() == field).map(|(_, value)| value);
        match found.map(|value| (value, value.get_ref().as_str())) {
            Some((_, Some(text))) if !text.trim().is_empty() => Some(text.to_owned()),
            Some((value, _)) => {
                values.problem(place(value.span().start), format!("{key}.{field}"), "is not a text, or empty");
                None
            }
            None if is_required => {
                values.problem(at.clone(), format!("{key}.{field}"), "is missing");
                None
            }
            None => None,
        }
    };
    let (id, sha256, tenant) = (text("id", true), text("sha256", true), text("tenant", true));
    // A TOML date is as good as its text.
    let date =
        table.iter().find(|(name, _)| name.get_ref() == "expires").and_then(|(_, value)| match value.get_ref() {
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => None,
        });
    let expires = date.or_else(|| text("expires", false));
    let scopes = table.iter().find(|(name, _)| name.get_ref() == "scopes").map(|(_, value)| value);
    let list = scopes.and_then(texts);
    if list.is_none() {
        let at = scopes.map_or(at.clone(), |value| place(value.span().start));
        values.problem(at, format!("{key}.scopes"), "is a list of \"ingest\", \"query\", \"admin\", with at least one");
    }
    if values.problems.len() > before {
        return None;
    }
    Some(TokenRow { id: id?, sha256: sha256?, tenant: tenant?, scopes: list?, expires, place: at })
}

/// A list of texts, at least one.
pub(super) fn texts(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    let list = value.get_ref().as_array()?;
    let list: Vec<String> = list.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect::<Option<_>>()?;
    (!list.is_empty()).then_some(list)
}
