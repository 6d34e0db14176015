use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use http::Method;
use loglake_model::AuditEntry;
use serde_json::{Map, Value, json};

use crate::args::AuditCommand;
use crate::client::Client;
use crate::escape;

/// Records in a page.
const PAGE: u64 = 5_000;

/// What was seen of a process's chain.
#[derive(Debug, Default)]
struct Chain {
    /// Entries by their number: their hash and that of the one before.
    entries: BTreeMap<u64, (String, String)>,
    from: String,
    to: String,
    unaudited: u64,
    faults: Vec<String>,
}

/// `loglakectl audit verify`.
pub(crate) async fn run(client: &Client, command: AuditCommand, is_json: bool) -> anyhow::Result<()> {
    let AuditCommand::Verify { from, to } = command;
    let mut body = Map::new();
    body.insert("service".to_owned(), json!(AuditEntry::SERVICE));
    body.insert("direction".to_owned(), json!("forward"));
    body.insert("limit".to_owned(), json!(PAGE));
    let is_part = from.is_some();
    for (key, value) in [("from_ts", from), ("to_ts", to)] {
        body.extend(value.map(|value| (key.to_owned(), json!(value))));
    }
    let mut chains = BTreeMap::<String, Chain>::new();
    loop {
        let page = client.call(Method::POST, "/v1/query", Some(&Value::Object(body.clone()))).await?;
        for item in page["items"].as_array().context("the answer has no items")? {
            take(&mut chains, item)?;
        }
        if page["complete"] != json!(true) {
            bail!("not all could be read: {}", escape::line(&page["missing"].to_string()));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => body.insert("cursor".to_owned(), json!(cursor)),
            None => break,
        };
    }
    let (mut entries, mut broken) = (0, 0);
    for (process, chain) in &mut chains {
        chain.check(is_part);
        entries += chain.entries.len();
        broken += usize::from(!chain.faults.is_empty());
        chain.print(process, is_json);
    }
    if broken > 0 {
        bail!("{broken} of {} chains are broken", chains.len());
    }
    if !is_json {
        println!("{entries} entries in {} chains: nothing is altered or left out", chains.len());
    }
    Ok(())
}

fn take(chains: &mut BTreeMap<String, Chain>, item: &Value) -> anyhow::Result<()> {
    let attribute = |name: &str| item["attributes"][name].as_str().map(str::to_owned);
    let no_entry =
        || format!("the record {} is no audit entry: is this the credential of `{}`?", item["id"], AuditEntry::TENANT);
    let entry = AuditEntry::from_values(attribute).with_context(no_entry)?;
    let chain = chains.entry(entry.process.clone()).or_default();
    let hash = entry.hash();
    if attribute(AuditEntry::HASH).as_deref() != Some(&*hash) || item["message"].as_str() != Some(&*entry.sentence()) {
        chain.faults.push(format!("entry {} was altered", entry.number));
    }
    if chain.from.is_empty() {
        chain.from.clone_from(&entry.at);
    }
    chain.to = entry.at;
    // It may stand there twice: its writer did not know whether it was appended.
    let seen = chain.entries.insert(entry.number, (hash.clone(), entry.previous));
    match seen {
        Some((other, _)) if other != hash => chain.faults.push(format!("there are two entries {}", entry.number)),
        Some(_) => {}
        None => chain.unaudited += entry.unaudited,
    }
    Ok(())
}

impl Chain {
    /// Follows it from its first entry; that is number 1 unless only a part was asked for.
    fn check(&mut self, is_part: bool) {
        let mut before: Option<(u64, &str)> = None;
        for (number, (hash, previous)) in &self.entries {
            match before {
                None if *number == 1 && previous.is_empty() => {}
                None if is_part && *number > 1 => {}
                None => self.faults.push(format!("the entries before {number} are missing")),
                Some((last, _)) if last + 1 != *number => {
                    self.faults.push(format!("the entries between {last} and {number} are missing"));
                }
                Some((_, expected)) if expected != previous => {
                    self.faults.push(format!("entry {number} does not follow the one before it"));
                }
                Some(_) => {}
            }
            before = Some((*number, hash));
        }
    }

    fn print(&self, process: &str, is_json: bool) {
        let (first, last) = (self.entries.keys().next().copied(), self.entries.keys().next_back().copied());
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
        if is_json {
            let (from, to, unaudited, faults) = (&self.from, &self.to, self.unaudited, &self.faults);
            let row = json!({"process": process, "first": first, "last": last, "from": from, "to": to, "unaudited": unaudited, "faults": faults});
            println!("{row}");
            return;
        }
        let state =
            if self.faults.is_empty() { "whole".to_owned() } else { format!("BROKEN: {}", self.faults.join("; ")) };
        let missing =
            if self.unaudited > 0 { format!(", {} more were only counted", self.unaudited) } else { String::new() };
        let line = format!("{process}  entries {first} to {last}, {} to {}{missing}  {state}", self.from, self.to);
        println!("{}", escape::line(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u64) -> Vec<AuditEntry> {
        let mut previous = String::new();
        let entry = |number| {
            let entry =
                AuditEntry { process: "p".to_owned(), number, previous: previous.clone(), ..AuditEntry::default() };
            previous = entry.hash();
            entry
        };
        (1..=count).map(entry).collect()
    }

    fn item(entry: &AuditEntry) -> Value {
        let mut attributes: Map<String, Value> = AuditEntry::FIELDS
            .iter()
            .zip(entry.values())
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        attributes.insert(AuditEntry::HASH.to_owned(), json!(entry.hash()));
        json!({"id": "0-0-0-0", "message": entry.sentence(), "attributes": attributes})
    }

    fn faults(items: &[Value], is_part: bool) -> Vec<String> {
        let mut chains = BTreeMap::new();
        items.iter().for_each(|item| take(&mut chains, item).unwrap());
        let mut chain = chains.remove("p").unwrap();
        chain.check(is_part);
        chain.faults
    }

    #[test]
    fn a_whole_chain_is_whole_and_whatever_was_done_to_it_shows() {
        let items: Vec<Value> = entries(4).iter().map(item).collect();
        assert_eq!(faults(&items, false), [""; 0]);
        let twice = [&items[..], &items[2..3]].concat();
        assert_eq!(faults(&twice, false), [""; 0], "one that was appended twice");
        assert_eq!(faults(&items[1..], true), [""; 0], "a part");
        assert_eq!(faults(&items[1..], false), ["the entries before 2 are missing"]);
        let without = [&items[..1], &items[2..]].concat();
        assert_eq!(faults(&without, false), ["the entries between 1 and 3 are missing"]);
        let mut altered = items.clone();
        altered[1]["attributes"]["target"] = json!("else");
        let altered = faults(&altered, false);
        assert!(altered.contains(&"entry 2 was altered".to_owned()), "{altered:?}");
        let mut said = items.clone();
        said[1]["message"] = json!("nothing happened");
        assert_eq!(faults(&said, false), ["entry 2 was altered"]);
        // One that was slipped in, with a hash that fits it.
        let forged = AuditEntry { target: "else".to_owned(), ..entries(2)[1].clone() };
        let slipped = [&items[..1], &[item(&forged)], &items[2..]].concat();
        assert_eq!(faults(&slipped, false), ["entry 3 does not follow the one before it"]);
        let both = [&items[..], &[item(&forged)]].concat();
        assert!(faults(&both, false).contains(&"there are two entries 2".to_owned()));
        assert!(take(&mut BTreeMap::new(), &json!({"id": "1-1-1-1", "message": "x"})).is_err());
    }
}
