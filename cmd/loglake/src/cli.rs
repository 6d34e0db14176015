use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use loglake_service::{Role, Sources};

use crate::admin::AdminCommand;

const EXAMPLES: &str = "\
Examples:
  loglake dev                                    everything in one process, kept in ./data
  loglake dev --data /srv/logs                   the same, kept elsewhere
  loglake dev --set query.listen=127.0.0.1:9999  any key can be set: file < environment < --set
  KAFKA_BROKERS=kafka:9092 loglake ingestor      one role, on real servers
  loglake config show --role processor           every key, its value, and where it was set
  loglake token new --tenant acme --scopes ingest,query
  loglake certs dev                              certificates to try TLS with
  loglake health --role query                    can it serve? (the health-check of a container)
  loglake admin fsck                             is what is stored whole?

First steps with `loglake dev` running:
  curl -s localhost:4318/v1/ingest -H 'Content-Type: application/x-ndjson' \\
    -d '{\"service\":\"shop\",\"level\":\"error\",\"message\":\"payment timeout\"}'
  curl -s localhost:8080/v1/query -H 'Content-Type: application/json' -d '{\"contains\":\"timeout\"}'

Keys, defaults and variables: docs/configuration.md";

/// A multi-tenant log lake: logs in over gRPC and HTTP, at rest as gzip NDJSON objects that any tool reads, out over REST.
#[derive(Debug, Parser)]
#[command(name = "loglake", version, after_help = EXAMPLES, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs all roles in one process, with a log, an index and objects of its own in a folder. Needs no server.
    Dev(DevArgs),
    /// Takes records in over gRPC and HTTP, and hands them to Kafka.
    Ingestor(RoleArgs),
    /// Builds chunks out of what is in Kafka, commits them to the bucket, and serves what is not flushed yet.
    Processor(RoleArgs),
    /// Answers queries.
    Query(RoleArgs),
    /// Asks a role that runs on this machine whether it can serve: the health-check of a container that has no shell.
    Health(HealthArgs),
    /// Checks or shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Makes API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Makes certificates to try TLS with.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Checks and mends what is stored.
    #[command(subcommand)]
    Admin(AdminCommand),
}

#[derive(Args, Debug)]
pub(crate) struct RoleArgs {
    /// A TOML file to read keys from [env: LOGLAKE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a key over the file and the environment; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// The data folder; it is made when it is not there [env: LOGLAKE_DATA] [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    common: RoleArgs,
}

const HEALTH: &str = "\
Asks `/ready` on the metrics' port of each role that the configuration names: of one with
--role, else of all that listen here. It takes the same file, environment and --set as the
role, so give it what you gave the role; a wildcard address is asked by loopback. Where TLS is
on it is spoken, and whoever's certificate is taken, as a probe of Kubernetes does.

Exits with 0 when every role that answers can serve, 1 when one cannot or none answers, 64
when the command line or the configuration is wrong.

Examples:
  loglake health                  whatever runs here: `dev`, or the one role of a container
  loglake health --role ingestor  this role must run
  loglake health --live           do the processes answer at all, ready or not?
  loglake health --role query --set metrics.query_listen=127.0.0.1:9083

In compose:  healthcheck: {test: [\"CMD\", \"loglake\", \"health\", \"--role\", \"query\"]}
Kubernetes asks by itself: httpGet of /ready and /health on the metrics' port.";

#[derive(Args, Debug)]
#[command(after_help = HEALTH)]
pub(crate) struct HealthArgs {
    /// The role that must run; without it, whichever of them listen here.
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleName>,
    /// Only whether the process answers (`/health`), not whether it can serve (`/ready`).
    #[arg(long)]
    pub(crate) live: bool,
    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) common: RoleArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Checks the configuration of a role and lists every fault; exits with 64 when there is one.
    Check(ConfigArgs),
    /// Prints every key, its value and where it was set, without what is secret.
    Show(ConfigArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    /// The role whose configuration it is.
    #[arg(long, value_enum, default_value = "dev")]
    pub(crate) role: RoleName,
    #[command(flatten)]
    pub(crate) common: DevArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleName {
    Dev,
    Ingestor,
    Processor,
    Query,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Dev => Self::Dev,
            RoleName::Ingestor => Self::Ingestor,
            RoleName::Processor => Self::Processor,
            RoleName::Query => Self::Query,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Prints a new token, to be kept by its user, and the row for the configuration, which holds only its hash.
    New(TokenArgs),
}

#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Whose token it is.
    #[arg(long)]
    pub(crate) tenant: String,
    /// What it may do: ingest, query, admin (its tenant's tokens), operator (all tenants and tokens).
    #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPE,…")]
    pub(crate) scopes: Vec<String>,
    /// When it ends, RFC 3339; without this it does not end.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// The token's public name, 1 to 64 of A-Z a-z 0-9 -; without this a random one.
    #[arg(long)]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Makes an authority, a server's certificate for this machine and a client's for a tenant, and prints what to do with them.
    Dev(CertsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CertsArgs {
    /// The folder that they go to; what is there is not written over.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) out: PathBuf,
    /// A name or address of the server beside localhost, 127.0.0.1 and ::1; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// The tenant for whom the client's certificate speaks.
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
}

impl From<RoleArgs> for Sources {
    fn from(args: RoleArgs) -> Self {
        let process = Self::of_process();
        Self { file: args.config.or(process.file.clone()), sets: args.set, ..process }
    }
}

impl From<DevArgs> for Sources {
    fn from(args: DevArgs) -> Self {
        Self { data: args.data, ..Self::from(args.common) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
