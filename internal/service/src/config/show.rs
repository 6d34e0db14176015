use std::fmt::Write as _;

use super::{Key, keys};

/// The reference of all keys as a Markdown table a section, as `docs/configuration.md` holds it.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::new();
    let mut section = None;
    for key in keys() {
        let of = key.name.split_once('.').map_or("", |(of, _)| of);
        if section != Some(of) {
            section = Some(of);
            let title = if of.is_empty() { "The process".to_owned() } else { format!("`[{of}]`") };
            put(&mut page, &format!("\n### {title}\n\n| key and variable | default | what it does |\n|---|---|---|\n"));
        }
        put(&mut page, &row(key));
    }
    page
}

fn row(key: &Key) -> String {
    let mut names = format!("`{}`", key.name);
    for variable in key.variables().collect::<Vec<_>>().iter().rev() {
        put(&mut names, &format!("<br>`{variable}`"));
    }
    let mut default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
    if let Some(dev) = key.dev_default {
        put(&mut default, &format!("<br>(`dev`: `{dev}`)"));
    }
    format!("| {names} | {default} | ({}) {} |\n", key.shape.as_str(), key.about().replace('|', "\\|"))
}

fn put(page: &mut String, text: &str) {
    page.write_str(text).expect("a string grows");
}
