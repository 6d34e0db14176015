use toml::de::DeValue;

use super::Place;
use super::rows::{self, Kind, Row, SCOPES};
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

const KIND: Kind = Kind { key: "auth.certificates", noun: "certificate", fields: &["san", "tenant", "scopes"] };

/// Reads the rows of an array of tables; `place` tells the place of a byte of the source.
pub(super) fn read(value: &DeValue<'_>, at: Place, place: &dyn Fn(usize) -> Place, values: &mut Values) {
    if let Some(certificates) = rows::read(&KIND, value, at.clone(), place, values, read_row) {
        values.certificates = Some((certificates, at));
    }
}

fn read_row(row: &Row<'_>, values: &mut Values) -> Option<CertificateRow> {
    let (san, tenant) = (row.text("san", values), row.text("tenant", values));
    let scopes = row.texts("scopes", SCOPES, values);
    Some(CertificateRow { san: san?, tenant: tenant?, scopes: scopes?, place: row.at.clone() })
}
