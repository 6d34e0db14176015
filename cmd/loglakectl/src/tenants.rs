use http::Method;
use serde_json::{Value, json};

use crate::args::TenantsCommand;
use crate::client::Client;
use crate::escape;

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
    }
}

async fn set(client: &Client, name: &str, verb: &str, is_json: bool) -> anyhow::Result<()> {
    let name = loglake_model::TenantName::parse(name)?;
    let answer = client.manage(Method::POST, &format!("/v1/tenants/{name}/{verb}"), None).await?;
    say(&answer, is_json, &format!("tenant {name}: {verb}"))
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
