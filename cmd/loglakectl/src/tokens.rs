use http::Method;
use serde_json::{Map, Value, json};

use crate::args::TokensCommand;
use crate::client::Client;
use crate::tenants::text;

/// `loglakectl tokens`.
pub(crate) async fn run(
    client: &Client,
    command: TokensCommand,
    tenant: Option<&str>,
    is_json: bool,
) -> anyhow::Result<()> {
    match command {
        TokensCommand::List => {
            let path = tenant.map_or_else(|| "/v1/tokens".to_owned(), |name| format!("/v1/tokens?tenant_id={name}"));
            let answer = client.manage(Method::GET, &path, None).await?;
            for token in answer["tokens"].as_array().into_iter().flatten() {
                if is_json {
                    println!("{token}");
                } else {
                    let (id, of) = (text(token, "id"), text(token, "tenant_id"));
                    println!("{id:<16} {of:<32} {:<24} ends {}", scopes(token), text(token, "expires"));
                }
            }
            Ok(())
        }
        TokensCommand::Add { scopes, expires, id } => {
            let mut body = Map::new();
            body.insert("scopes".to_owned(), json!(scopes));
            for (key, value) in [("tenant_id", tenant.map(str::to_owned)), ("expires", expires), ("id", id)] {
                if let Some(value) = value {
                    body.insert(key.to_owned(), json!(value));
                }
            }
            let made = client.manage(Method::POST, "/v1/tokens", Some(&Value::Object(body))).await?;
            print_new(&made, is_json);
            Ok(())
        }
        TokensCommand::Rotate { id, overlap, expires } => {
            let mut body = json!({ "overlap_seconds": overlap.as_secs() });
            if let Some(expires) = expires {
                body["expires"] = json!(expires);
            }
            let path = format!("/v1/tokens/{}/rotate", checked(&id)?);
            let made = client.manage(Method::POST, &path, Some(&body)).await?;
            print_new(&made, is_json);
            Ok(())
        }
        TokensCommand::Revoke { id } => {
            let answer = client.manage(Method::DELETE, &format!("/v1/tokens/{}", checked(&id)?), None).await?;
            if is_json {
                println!("{answer}");
            } else {
                println!("token {id} revoked");
            }
            Ok(())
        }
    }
}

/// The id, if it can stand in a path. The whole token is refused: it would stand in logs.
fn checked(id: &str) -> anyhow::Result<&str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    anyhow::ensure!(
        !id.is_empty() && id.bytes().all(good),
        "a token's id is of A-Z a-z 0-9 -: the part between `ll_` and the secret"
    );
    Ok(id)
}

/// The token alone on standard output, so that it can go to where it is kept; what it is on the other.
fn print_new(made: &Value, is_json: bool) {
    if is_json {
        println!("{made}");
        return;
    }
    let (id, of, ends) = (text(made, "id"), text(made, "tenant_id"), text(made, "expires"));
    eprintln!("token {id} of {of}: {}, ends {ends}; it is kept nowhere and cannot be shown again:", scopes(made));
    println!("{}", text(made, "token"));
}

fn scopes(token: &Value) -> String {
    let names = token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    crate::escape::line(&names.collect::<Vec<_>>().join(","))
}
