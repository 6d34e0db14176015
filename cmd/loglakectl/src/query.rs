use std::io::Write as _;

use anyhow::Context as _;
use http::Method;
use serde_json::{Map, Value, json};

use crate::args::QueryArgs;
use crate::client::Client;
use crate::escape;

/// Records in a page.
const PAGE: u64 = 1_000;

/// `loglakectl query`: prints records as the server's pages bring them, until there are enough.
pub(crate) async fn run(client: &Client, args: &QueryArgs, is_json: bool) -> anyhow::Result<()> {
    let mut body = body(args);
    let mut left = if args.all { u64::MAX } else { args.limit };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut is_complete = true;
    while left > 0 {
        body.insert("limit".to_owned(), json!(left.min(PAGE)));
        let page = client.call(Method::POST, "/v1/query", Some(&Value::Object(body.clone()))).await?;
        let items = page["items"].as_array().context("the answer has no items")?;
        for item in items {
            let written = if is_json { writeln!(out, "{item}") } else { writeln!(out, "{}", shown(item)) };
            match written {
                // Whoever reads has enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.context("writing the records")?,
            }
        }
        left = left.saturating_sub(items.len() as u64);
        if page["complete"] != json!(true) {
            is_complete = false;
            eprintln!("loglakectl: not all could be read: {}", escape::line(&page["missing"].to_string()));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => body.insert("cursor".to_owned(), json!(cursor)),
            None => break,
        };
    }
    out.flush().context("writing the records")?;
    anyhow::ensure!(is_complete, "the answer is incomplete");
    Ok(())
}

fn body(args: &QueryArgs) -> Map<String, Value> {
    let mut body = Map::new();
    let lists = [
        ("services", &args.service),
        ("level", &args.level),
        ("contains", &args.contains),
        ("icontains", &args.icontains),
    ];
    for (key, values) in lists {
        if !values.is_empty() {
            body.insert(key.to_owned(), json!(values));
        }
    }
    let texts = [
        ("min_level", &args.min_level),
        ("regex", &args.regex),
        ("trace_id", &args.trace),
        ("from_ts", &args.from),
        ("to_ts", &args.to),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if args.forward {
        body.insert("direction".to_owned(), json!("forward"));
    }
    body
}

/// A record for people.
fn shown(item: &Value) -> String {
    let text = |field: &str| escape::line(item[field].as_str().unwrap_or("-"));
    format!("{} {:<5} {} {}", text("timestamp"), text("level"), text("service"), text("message"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn a_command_line_becomes_the_body_of_a_query() {
        let line = "loglakectl query --service a --service b --level error --icontains x --forward --trace t --from 17";
        let Command::Query(args) = Args::parse_from(line.split(' ')).command else { panic!("a query") };
        let wanted = json!({"services": ["a", "b"], "level": ["error"], "icontains": ["x"], "direction": "forward",
                            "trace_id": "t", "from_ts": "17"});
        assert_eq!(Value::Object(body(&args)), wanted);
    }

    #[test]
    fn a_message_cannot_speak_to_the_terminal() {
        let item = json!({"timestamp": "t", "service": "s", "message": "\u{1b}[31mred"});
        assert_eq!(shown(&item), r"t -     s \u{1b}[31mred");
    }
}
