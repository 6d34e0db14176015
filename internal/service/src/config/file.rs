use std::io::Read as _;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::mode::is_world_readable;
use super::settings::Auth;
use super::suggest::nearest;
use super::values::Values;
use super::{Key, Place, Shape, certificate_row, keys, token_row};

/// The largest configuration file: room for a hundred thousand tokens.
const MAX_BYTES: u64 = 32 << 20;

/// Lays a configuration file over `values`.
pub(super) fn read(path: &Path, values: &mut Values) {
    let start = Place::File { path: path.to_owned(), line: 1 };
    let (text, is_open_to_all) = match read_text(path) {
        Ok(read) => read,
        Err(message) => return values.problem(start, "", message),
    };
    let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    let place = |at: usize| Place::File { path: path.to_owned(), line: line(at) };
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        values.problem(place(error.span().map_or(0, |span| span.start)), "", error.message());
    }
    if errors.is_empty() {
        read_table(table.get_ref(), "", &place, values);
    }
    if is_open_to_all {
        for key in keys() {
            let secret =
                values.given.get(key.name).filter(|given| (key.hides)(&given.text)).map(|given| given.place.clone());
            if let Some(place @ Place::File { .. }) = secret {
                let message = "holds a secret in a file that everybody may read; run: chmod 600 on the file";
                values.problem(place, key.name, message);
            }
        }
    }
}

fn read_text(path: &Path) -> Result<(String, bool), String> {
    let file = std::fs::File::open(path).map_err(|error| format!("the file cannot be read: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("the file cannot be read: {error}"))?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| format!("the file cannot be read: {error}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    if text.trim().is_empty() {
        return Err("the file is empty; leave it out, or set something".to_owned());
    }
    Ok((text, is_world_readable(&metadata)))
}

fn read_table(table: &DeTable<'_>, prefix: &str, place: &dyn Fn(usize) -> Place, values: &mut Values) {
    for (name, value) in table {
        let full = format!("{prefix}{}", name.get_ref());
        let at = place(name.span().start);
        if full == Auth::TOKENS.name {
            token_row::read(value.get_ref(), at, place, values);
        } else if full == Auth::CERTIFICATES.name {
            certificate_row::read(value.get_ref(), at, place, values);
        } else if let Some(key) = keys().find(|key| key.name == full) {
            match scalar(key, value.get_ref()) {
                Ok(text) => values.set(key, text, at),
                Err(message) => values.problem(at, full, message),
            }
        } else if keys().any(|key| key.name.strip_prefix(&full).is_some_and(|rest| rest.starts_with('.'))) {
            match value.get_ref().as_table() {
                Some(inner) => read_table(inner, &format!("{full}."), place, values),
                None => values.problem(at, &full, format!("is a section; write [{full}] and its keys below")),
            }
        } else {
            let hint = nearest(&full, keys().map(|key| key.name)).map(|known| format!("; do you mean \"{known}\"?"));
            values.problem(at, full, format!("is not a key{}", hint.unwrap_or_default()));
        }
    }
}

/// The text of a value of the right shape.
fn scalar(key: &Key, value: &DeValue<'_>) -> Result<String, String> {
    match (value, key.shape) {
        (DeValue::String(text), Shape::Text | Shape::Amount | Shape::Span | Shape::List) => {
            Ok(text.as_ref().to_owned())
        }
        (DeValue::Integer(number), Shape::Whole | Shape::Amount) if number.radix() == 10 => {
            Ok(number.as_str().to_owned())
        }
        (DeValue::Boolean(switch), Shape::Switch) => Ok(switch.to_string()),
        (DeValue::Array(list), Shape::List) => {
            let texts: Option<Vec<&str>> = list.iter().map(|one| one.get_ref().as_str()).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| "is a list of texts".to_owned())
        }
        _ => {
            let example = if key.default.is_empty() { String::new() } else { format!(", such as {}", quoted(key)) };
            Err(format!("is {}; it must be {}{example}", article(value), key.shape.as_str()))
        }
    }
}

fn quoted(key: &Key) -> String {
    match key.shape {
        Shape::Whole | Shape::Switch => key.default.to_owned(),
        _ => format!("\"{}\"", key.default),
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
