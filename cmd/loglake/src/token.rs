use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use loglake_auth::{Authenticator, Oidc, Scope, TokenConfig, new_token, tokens_from};
use loglake_model::{Fault, TenantName, Timestamp};
use loglake_service::config::Place;
use loglake_service::{Config, Problem, Problems};

use crate::cli::TokenCommand;
use crate::oidc;

/// `loglake token new`.
pub(crate) fn main(command: TokenCommand) -> anyhow::Result<()> {
    let TokenCommand::New(args) = command;
    let problem = |key: &str, message: String| {
        Problems(vec![Problem { place: Place::Flag("token new"), key: key.to_owned(), message }])
    };
    let tenant = TenantName::parse(&args.tenant).map_err(|error| problem("--tenant", error.to_string()))?;
    let scope = |name: &String| {
        let known = "there are only ingest, query, admin and operator";
        name.trim().parse::<Scope>().map_err(|()| problem("--scopes", format!("there is no scope {name:?}, {known}")))
    };
    let scopes = args.scopes.iter().map(scope).collect::<Result<_, _>>()?;
    let expires = args.expires.as_deref().map(Timestamp::parse).transpose();
    let expires = expires.map_err(|error| problem("--expires", error.to_string()))?;
    let made = new_token(tenant, scopes, expires.map(|at| at.0), args.id, &mut rand::rng())
        .map_err(|error| problem("--id", error.to_string()))?;

    let names: Vec<String> = made.token.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    let mut text = format!(
        "# The token. Give it to its user; it is kept nowhere and cannot be shown again:\n#   {}\n\
         # Its row for the configuration file:\n[[auth.tokens]]\nid = \"{}\"\nsha256 = \"{}\"\ntenant = \"{}\"\nscopes = [{}]\n",
        made.text,
        made.token.id,
        made.sha256_hex(),
        made.token.tenant,
        names.join(", "),
    );
    if let Some(at) = expires {
        text.push_str(&format!("expires = \"{at}\"\n"));
    }
    std::io::stdout().lock().write_all(text.as_bytes()).context("the token cannot be written")
}

/// Who may do what, as the configuration says. All faults of all rows are told at once.
pub(crate) fn authenticator(config: &Config) -> Result<Authenticator, Problems> {
    let rows = &config.auth.tokens;
    if config.is_open() {
        return Ok(Authenticator::open());
    }
    let configs: Vec<TokenConfig> = rows
        .iter()
        .map(|row| TokenConfig {
            id: row.id.clone(),
            sha256: row.sha256.clone(),
            tenant: row.tenant.clone(),
            scopes: row.scopes.clone(),
            expires: row.expires.clone(),
        })
        .collect();
    let tokens = tokens_from(&configs).map_err(|faults| {
        Problems(
            faults
                .into_iter()
                .map(|fault| {
                    // `auth.tokens[2].sha256`: the row says in which line.
                    let row = fault.field.split(['[', ']']).nth(1).and_then(|at| at.parse::<usize>().ok());
                    let place = row.and_then(|at| rows.get(at)).map_or(Place::Default, |row| row.place.clone());
                    Problem { place, key: fault.field, message: fault.message }
                })
                .collect(),
        )
    })?;
    let auth = Authenticator::with_tokens(tokens).map_err(|error| {
        let (place, key) = (rows[0].place.clone(), "auth.tokens".to_owned());
        Problems(vec![Problem { place, key, message: error.to_string() }])
    })?;
    let Some(settings) = oidc::settings(config) else { return Ok(auth) };
    let oidc = Oidc::new(&settings).map_err(|faults| {
        let problem = |fault: Fault| Problem {
            place: Place::Default,
            key: format!("oidc.{}", fault.field),
            message: fault.message,
        };
        Problems(faults.into_iter().map(problem).collect())
    })?;
    Ok(auth.with_oidc(Arc::new(oidc)))
}

#[cfg(test)]
mod tests {
    use loglake_service::{Role, Sources, load};

    use super::*;

    fn with_rows(rows: &str) -> Result<Authenticator, Problems> {
        let environment = vec![("LOGLAKE_AUTH_TOKENS".into(), rows.into())];
        let (config, _) = load(Role::Dev, &Sources { environment, ..Sources::default() }).unwrap();
        authenticator(&config)
    }

    #[test]
    fn every_fault_of_every_row_is_told_with_its_place() {
        let rows = r#"[{id = "a", sha256 = "00", tenant = "../x", scopes = ["query", "root"], expires = "soon"},
                       {id = "a", sha256 = "ff", tenant = "t", scopes = ["query"]}]"#;
        let said = with_rows(rows).err().unwrap().to_string();
        for field in ["[0].sha256", "[0].tenant", "[0].scopes", "[0].expires", "[1].sha256", "[1].id"] {
            assert!(said.contains(&format!("LOGLAKE_AUTH_TOKENS: auth.tokens{field}: ")), "{field}: {said}");
        }
        assert_eq!(said.lines().count(), 6, "{said}");
    }

    #[test]
    fn good_rows_close_the_door() {
        let rows = format!(r#"[{{id = "a", sha256 = "{}", tenant = "t", scopes = ["query"]}}]"#, "0f".repeat(32));
        assert!(!with_rows(&rows).unwrap().is_open());
    }
}
