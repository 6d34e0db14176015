use std::io::Write as _;

use loglake_service::{Role, Sources, load};

use crate::cli::ConfigCommand;

/// `loglake config check|show`.
pub(crate) fn main(command: ConfigCommand) -> anyhow::Result<()> {
    let (args, is_show) = match command {
        ConfigCommand::Check(args) => (args, false),
        ConfigCommand::Show(args) => (args, true),
    };
    let role = Role::from(args.role);
    let (config, shown) = load(role, &Sources::from(args.common))?;
    crate::token::authenticator(&config)?;
    loglake_service::tls(&config)?;
    loglake_service::trust(&config)?;
    let mut out = std::io::stdout().lock();
    if !is_show {
        writeln!(out, "the configuration of `loglake {}` is sound", role.as_str())?;
        return Ok(());
    }
    for one in shown {
        let value = if one.value.is_empty() { "-" } else { &one.value };
        writeln!(out, "{:<28} {:<32} # {}", one.key, value, one.place)?;
    }
    Ok(())
}
