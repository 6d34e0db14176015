use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::{amount, span};

const EXAMPLES: &str = "Examples:
  The newest errors that mention a time-out:
    loglakectl query --level error --icontains timeout
  All of a trace, oldest first, as NDJSON:
    loglakectl query --trace a1 --forward --all --json
  A tenant, and a token for its shippers:
    loglakectl tenants add acme
    loglakectl tokens add --tenant acme --scopes ingest --expires 2027-01-01T00:00:00Z
  At most 10 MiB a second of it, and no more than 50 services; all that holds for it; the default again:
    loglakectl tenants limit acme --ingest-bytes 10MiB/s --services 50
    loglakectl tenants limits acme
    loglakectl tenants limit acme --default services
  A new token in its place; the old one is good for another day:
    loglakectl tokens rotate 3f9c0a2b7d11 --overlap 1d
  No longer good from now on:
    loglakectl tokens revoke 3f9c0a2b7d11

The credential is read from LOGLAKE_TOKEN or --token-file, never from the command line.
Exits with 0 when it is done, 1 when it is not, 64 when the command line is wrong.";

/// Asks a Loglake query service, and manages tenants and their tokens.
#[derive(Debug, Parser)]
#[command(name = "loglakectl", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Server and credential")]
pub(crate) struct ServerArgs {
    /// The query service.
    #[arg(long, env = "LOGLAKE_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", global = true)]
    pub(crate) url: String,
    /// A file that holds the token and nothing else [default: the environment's LOGLAKE_TOKEN, if any].
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// A PEM file of the authorities that the server's certificate may come from [default: the system's].
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// A PEM file with a client certificate, for a server that asks for one; it stands for a token there.
    #[arg(long, value_name = "FILE", global = true, requires = "key_file")]
    pub(crate) certificate_file: Option<PathBuf>,
    /// A PEM file with its private key.
    #[arg(long, value_name = "FILE", global = true, requires = "certificate_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// The tenant; on a server with credentials it must be the credential's, but for operators.
    #[arg(long, global = true)]
    pub(crate) tenant: Option<String>,
    /// Print JSON: an object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Searches records.
    Query(QueryArgs),
    /// Lists, adds, suspends and resumes tenants; for operators.
    #[command(subcommand)]
    Tenants(TenantsCommand),
    /// Checks the audit log; with a credential of the tenant `loglake-audit` that has the scope `query`.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Lists, makes, rotates and revokes tokens; for a tenant's administrators and for operators.
    #[command(subcommand)]
    Tokens(TokensCommand),
}

#[derive(ClapArgs, Debug)]
pub(crate) struct QueryArgs {
    /// A service; several times for several.
    #[arg(long)]
    pub(crate) service: Vec<String>,
    /// A level; several times for several.
    #[arg(long)]
    pub(crate) level: Vec<String>,
    /// The least level.
    #[arg(long)]
    pub(crate) min_level: Option<String>,
    /// A part of the message; several times for several, all of which it must have.
    #[arg(long, value_name = "TEXT")]
    pub(crate) contains: Vec<String>,
    /// The same, upper and lower case alike.
    #[arg(long, value_name = "TEXT")]
    pub(crate) icontains: Vec<String>,
    /// A regular expression over the message.
    #[arg(long)]
    pub(crate) regex: Option<String>,
    /// A trace.
    #[arg(long, value_name = "ID")]
    pub(crate) trace: Option<String>,
    /// Not before this time: RFC 3339, or s, ms, us or ns since 1970.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// How many records at most.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// All there are, page after page.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Oldest first.
    #[arg(long)]
    pub(crate) forward: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Follows every process's chain of entries, and says what was altered or left out. (`query --service audit` reads them.)
    Verify {
        /// Not before this time: RFC 3339, or s, ms, us or ns since 1970.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantsCommand {
    /// Lists all tenants.
    List,
    /// Adds one.
    Add {
        /// 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
        name: String,
    },
    /// Refuses all its credentials from now on; its records stay.
    Suspend {
        /// Its name.
        name: String,
    },
    /// Lets them in again.
    Resume {
        /// Its name.
        name: String,
    },
    /// Limits what it may take; known everywhere within `auth.refresh`. `none` stands for no limit.
    Limit(Box<LimitArgs>),
    /// Shows how much it may take, and which of that is its own.
    Limits {
        /// Its name.
        name: String,
    },
}

#[derive(ClapArgs, Debug)]
pub(crate) struct LimitArgs {
    /// Its name.
    pub(crate) name: String,
    /// Bytes a second that it may send, once decompressed: 10MiB/s.
    #[arg(long, value_name = "BYTES/s", value_parser = amount::a_second)]
    pub(crate) ingest_bytes: Option<u64>,
    /// Records a second: 1000/s.
    #[arg(long, value_name = "N/s", value_parser = amount::a_second)]
    pub(crate) ingest_records: Option<u64>,
    /// How many seconds' worth of both may come at once.
    #[arg(long, value_name = "LENGTH", value_parser = amount::ms)]
    pub(crate) ingest_burst: Option<u64>,
    /// Services within an hour.
    #[arg(long, value_name = "N", value_parser = amount::count)]
    pub(crate) services: Option<u64>,
    /// Services that may be new within an hour.
    #[arg(long, value_name = "N", value_parser = amount::count)]
    pub(crate) new_services: Option<u64>,
    /// Hours of event time, of a service each, that it may send records of within ten minutes.
    #[arg(long, value_name = "N", value_parser = amount::count)]
    pub(crate) windows: Option<u64>,
    /// Attributes of a record.
    #[arg(long, value_name = "N", value_parser = amount::count)]
    pub(crate) attributes: Option<u64>,
    /// Queries that run at a time in one query service.
    #[arg(long, value_name = "N", value_parser = amount::count)]
    pub(crate) query_concurrency: Option<u64>,
    /// Bytes, decompressed, that a query may search.
    #[arg(long, value_name = "BYTES", value_parser = amount::count)]
    pub(crate) query_bytes: Option<u64>,
    /// The longest a query may take.
    #[arg(long, value_name = "LENGTH", value_parser = amount::ms)]
    pub(crate) query_time: Option<u64>,
    /// Bytes of chunks that it may have at rest: 5TiB.
    #[arg(long, value_name = "BYTES", value_parser = amount::count)]
    pub(crate) stored_bytes: Option<u64>,
    /// What shall hold by the configuration again, by the names that `tenants limits` prints.
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',')]
    pub(crate) default: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Lists tokens, without what is secret.
    List,
    /// Makes one and prints it: it is shown this once.
    Add {
        /// What it may do: ingest, query, admin (the tenant's tokens), operator (all tenants and tokens).
        #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPE,…")]
        scopes: Vec<String>,
        /// When it ends, RFC 3339 [default: never].
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// Its public name, 1 to 64 of A-Z a-z 0-9 - [default: a random one]; for operators.
        #[arg(long)]
        id: Option<String>,
    },
    /// Makes a successor of one with the same scopes, and prints it; the old one ends after the overlap.
    Rotate {
        /// The old one's id.
        id: String,
        /// How long the old one stays good.
        #[arg(long, default_value = "1h", value_name = "LENGTH", value_parser = span::parse)]
        overlap: Duration,
        /// When the new one ends [default: when the old one would have].
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Ends one: within a minute no process lets it in, and open streams end.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
