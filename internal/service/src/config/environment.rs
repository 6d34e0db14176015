use std::ffi::OsString;

use toml::de::DeValue;

use super::settings::Auth;
use super::suggest::nearest;
use super::values::Values;
use super::{Key, Place, Shape, certificate_row, keys, token_row};

/// Ours, but not keys: where the file is, and what the agent, the local stack and the tests read.
const OTHERS: [&str; 5] = ["LOGLAKE_BIN", "LOGLAKE_CONFIG", "LOGLAKE_SERVER", "LOGLAKE_TOKEN", "LOGLAKE_URL"];
const TESTS: &str = "LOGLAKE_TEST_";
/// Makes a build for tests die or fail at a certain place; a release knows no such variable.
const FAILPOINTS: &str = "LOGLAKE_FAILPOINTS";

/// Lays environment variables over `values`.
pub(super) fn read(variables: &[(OsString, OsString)], values: &mut Values) {
    for (name, _) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LOGLAKE_")) else { continue };
        let is_key = keys().any(|key| key.variable() == name);
        let is_for_tests = name.starts_with(TESTS) || cfg!(feature = "failpoints") && name == FAILPOINTS;
        if !is_key && !OTHERS.contains(&name) && !is_for_tests {
            let known: Vec<String> = keys().map(super::Key::variable).collect();
            let hint = nearest(name, known.iter().map(String::as_str)).map(|known| format!("; do you mean {known}?"));
            let message = format!("is not a variable of loglake{}", hint.unwrap_or_default());
            values.problem(Place::Environment(name.to_owned()), "", message);
        }
    }
    for key in keys() {
        for variable in key.variables() {
            let Some((_, value)) = variables.iter().find(|(name, _)| name.to_str() == Some(&variable)) else {
                continue;
            };
            let place = Place::Environment(variable);
            match value.to_str() {
                None => values.problem(place, key.name, "is not UTF-8"),
                Some(text) if key.shape == Shape::Rows => rows(key, text, place, values),
                Some(text) => values.set(key, text.to_owned(), place),
            }
        }
    }
}

/// Rows written as an inline array: `[{id = "…", sha256 = "…", tenant = "…", scopes = ["query"]}]`.
fn rows(key: &Key, text: &str, place: Place, values: &mut Values) {
    if text.trim().is_empty() {
        return values.problem(place, key.name, "is empty; give it a value or leave it out");
    }
    let read = if key.name == Auth::CERTIFICATES.name { certificate_row::read } else { token_row::read };
    match DeValue::parse(text) {
        Ok(rows) => read(rows.get_ref(), place.clone(), &|_| place.clone(), values),
        Err(error) => values.problem(place, key.name, format!("is not a TOML array: {}", error.message())),
    }
}
