use http::Method;
use serde_json::{Value, json};

use crate::args::{LimitArgs, TenantsCommand};
use crate::client::Client;
use crate::{amount, escape};

/// `loglakectl tenants`.
pub(crate) async fn run(client: &Client, command: TenantsCommand, is_json: bool) -> anyhow::Result<()> {
    match command {
        TenantsCommand::List => {
            let answer = client.manage(Method::GET, "/v1/tenants", None).await?;
            for tenant in answer["tenants"].as_array().into_iter().flatten() {
                if is_json {
                    println!("{tenant}");
                } else {
                    let state = if tenant["suspended"] == json!(true) { "suspended" } else { "active" };
                    let (name, created) = (text(tenant, "tenant_id"), text(tenant, "created"));
                    println!("{name:<32} {state:<10} {:>5} tokens   since {created}", tenant["tokens"]);
                }
            }
            Ok(())
        }
        TenantsCommand::Add { name } => {
            let answer = client.manage(Method::POST, "/v1/tenants", Some(&json!({ "tenant_id": name }))).await?;
            say(&answer, is_json, &format!("tenant {name} added"))
        }
        TenantsCommand::Suspend { name } => set(client, &name, "suspend", is_json).await,
        TenantsCommand::Resume { name } => set(client, &name, "resume", is_json).await,
        TenantsCommand::Limit(args) => limit(client, &args, is_json).await,
        TenantsCommand::Limits { name } => {
            let answer = client.manage(Method::GET, &limits_of(&name)?, None).await?;
            show_limits(&answer, is_json);
            Ok(())
        }
    }
}

async fn set(client: &Client, name: &str, verb: &str, is_json: bool) -> anyhow::Result<()> {
    let name = loglake_model::TenantName::parse(name)?;
    let answer = client.manage(Method::POST, &format!("/v1/tenants/{name}/{verb}"), None).await?;
    say(&answer, is_json, &format!("tenant {name}: {verb}"))
}

fn limits_of(name: &str) -> anyhow::Result<String> {
    let name = loglake_model::TenantName::parse(name)?;
    Ok(format!("/v1/tenants/{name}/limits"))
}

async fn limit(client: &Client, args: &LimitArgs, is_json: bool) -> anyhow::Result<()> {
    let set = [
        ("ingest_bytes", args.ingest_bytes),
        ("ingest_records", args.ingest_records),
        ("ingest_burst_ms", args.ingest_burst),
        ("services", args.services),
        ("new_services", args.new_services),
        ("windows", args.windows),
        ("attributes", args.attributes),
        ("query_concurrency", args.query_concurrency),
        ("query_bytes", args.query_bytes),
        ("query_time_ms", args.query_time),
        ("stored_bytes", args.stored_bytes),
    ];
    let mut body = serde_json::Map::new();
    body.extend(args.default.iter().map(|name| (name.clone(), Value::Null)));
    body.extend(set.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    anyhow::ensure!(!body.is_empty(), "say which limit: `loglakectl tenants limit --help` lists them");
    let answer = client.manage(Method::POST, &limits_of(&args.name)?, Some(&Value::Object(body))).await?;
    show_limits(&answer, is_json);
    Ok(())
}

/// Prints what holds for a tenant, a limit a line.
fn show_limits(answer: &Value, is_json: bool) {
    if is_json {
        println!("{answer}");
        return;
    }
    for (name, row) in answer["limits"].as_object().into_iter().flatten() {
        let value = amount::show(name, row["value"].as_u64().unwrap_or(0));
        let stored = match answer["stored_bytes"].as_u64() {
            _ if name != "stored_bytes" => String::new(),
            Some(bytes) => format!("   {} now", amount::about(bytes)),
            None => "   now unknown: the index does not answer, or is being rebuilt".to_owned(),
        };
        println!("{:<20} {value:>12}   {}{stored}", escape::line(name), text(row, "from"));
    }
}

/// Prints an answer for scripts, or what was done for people.
fn say(answer: &Value, is_json: bool, done: &str) -> anyhow::Result<()> {
    if is_json {
        println!("{answer}");
    } else {
        println!("{}", escape::line(done));
    }
    Ok(())
}

/// The text of a field, for a terminal.
pub(crate) fn text(row: &Value, field: &str) -> String {
    escape::line(row[field].as_str().unwrap_or("-"))
}
