use std::fmt::Write as _;

use crate::Dice;

/// A message with places for variables, written `{name}`.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(&'static str),
    Variable(fn(&mut Dice, &mut String)),
}

impl Template {
    /// Reads a template. A name that is not known stays as it is (a test keeps such out of the catalogue).
    pub(super) fn parse(text: &'static str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            pieces.push(Piece::Text(before));
            match variable(name) {
                Some(draw) => pieces.push(Piece::Variable(draw)),
                None => pieces.extend([Piece::Text("{"), Piece::Text(name), Piece::Text("}")]),
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        Self(pieces)
    }

    /// Appends the message with its variables drawn.
    pub(super) fn fill(&self, dice: &mut Dice, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(draw) => draw(dice, out),
            }
        }
    }
}

const USERS: &[&str] =
    &["amara", "boris", "chidi", "dana", "emeka", "farah", "goran", "hana", "ivo", "jun", "kofi", "lena"];
const PATHS: &[&str] = &[
    "/",
    "/cart",
    "/checkout",
    "/orders",
    "/search",
    "/login",
    "/profile",
    "/health",
    "/api/v2/items",
    "/static/app.js",
];
const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const TABLES: &[&str] = &["orders", "customers", "invoices", "inventory", "sessions", "audit_trail"];
const TOPICS: &[&str] = &["order-events", "mail-outbox", "stock-updates", "clicks", "billing"];
const JOBS: &[&str] = &["rotate-keys", "nightly-report", "purge-sessions", "sync-catalogue", "reindex-search"];
const KEYS: &[&str] = &["session", "cart", "price", "profile", "feature-flags"];
const CURRENCIES: &[&str] = &["EUR", "USD", "GBP", "KES", "JPY"];

fn word(dice: &mut Dice, out: &mut String, words: &[&'static str]) {
    out.push_str(dice.pick(words).copied().unwrap_or_default());
}

fn number(dice: &mut Dice, out: &mut String, low: u64, high: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", dice.between(low, high));
}

fn variable(name: &str) -> Option<fn(&mut Dice, &mut String)> {
    Some(match name {
        "ip" => |dice, out| {
            let _ = write!(out, "10.{}.{}.{}", dice.below(64), dice.below(256), dice.between(1, 254));
        },
        "port" => |dice, out| number(dice, out, 1_024, 65_535),
        "ms" => |dice, out| number(dice, out, 1, 2_500),
        "s" => |dice, out| number(dice, out, 1, 120),
        "n" => |dice, out| number(dice, out, 1, 500),
        "few" => |dice, out| number(dice, out, 1, 9),
        "pct" => |dice, out| number(dice, out, 1, 99),
        "id" => |dice, out| number(dice, out, 100_000, 99_999_999),
        "offset" => |dice, out| number(dice, out, 1_000_000, 9_999_999_999),
        "bytes" => |dice, out| number(dice, out, 120, 4_000_000),
        "hex8" => |dice, out| dice.hex(out, 8),
        "hex16" => |dice, out| dice.hex(out, 16),
        "uuid" => |dice, out| {
            for (at, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
                if at > 0 {
                    out.push('-');
                }
                dice.hex(out, digits);
            }
        },
        "amount" => |dice, out| {
            let _ = write!(out, "{}.{:02} ", dice.between(1, 900), dice.below(100));
            word(dice, out, CURRENCIES);
        },
        "user" => |dice, out| word(dice, out, USERS),
        "path" => |dice, out| word(dice, out, PATHS),
        "method" => |dice, out| word(dice, out, METHODS),
        "table" => |dice, out| word(dice, out, TABLES),
        "topic" => |dice, out| word(dice, out, TOPICS),
        "job" => |dice, out| word(dice, out, JOBS),
        "key" => |dice, out| word(dice, out, KEYS),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_drawn_and_text_is_kept() {
        let mut out = String::new();
        Template::parse("a {few}{few} {user} {unknown} {").fill(&mut Dice::new(1), &mut out);
        assert!(out.starts_with("a ") && out.ends_with(" {unknown} {"), "{out}");
        let middle = &out[2..4];
        assert!(middle.bytes().all(|byte| byte.is_ascii_digit()), "{out}");
    }
}
