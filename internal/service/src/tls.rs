use std::io;
use std::sync::Arc;
use std::time::Duration;

use loglake_model::{Clock, Timestamp};
use loglake_transport::{Files, Reloaded, Tls, Trust};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Place;
use crate::{Config, Problem, Problems};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long before its end a certificate is warned of, and how often.
const SOON_NS: i64 = 14 * 86_400 * 1_000_000_000;
const WARN: Duration = Duration::from_secs(6 * 3600);

/// What secures this process's listeners; nothing where `tls.certificate_file` is not set.
///
/// # Errors
/// The file at fault, and what would be right.
pub fn tls(config: &Config) -> Result<Option<Tls>, Problems> {
    let of = &config.tls;
    let (Some(certificate), Some(key)) = (of.certificate_file.clone(), of.key_file.clone()) else { return Ok(None) };
    let files = Files {
        certificate,
        key,
        client_ca: of.client_ca_file.clone(),
        requires_client: of.require_client_certificate,
    };
    Tls::load(files).map(Some).map_err(|error| problems("tls", &error))
}

/// Whom this process believes when it calls others: `tls.ca_file`, or the system's authorities.
///
/// # Errors
/// The file at fault, and what would be right.
pub fn trust(config: &Config) -> Result<Trust, Problems> {
    Trust::of(config.tls.ca_file.as_deref()).map_err(|error| problems("tls.ca_file", &error))
}

fn problems(key: &str, error: &loglake_transport::Error) -> Problems {
    Problems(vec![Problem { place: Place::Default, key: key.to_owned(), message: error.to_string() }])
}

/// Takes what the files of `tls` hold now whenever they change, and on SIGHUP, until `shutdown`. What cannot be used is told in the
/// log, once, and tried again; what was good before is used until then. Warns of a certificate that ends soon.
///
/// # Errors
/// When signals cannot be waited for.
pub async fn watch(tls: Tls, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let (mut told, mut warned) = (None, None);
    loop {
        let now_ns = clock.now_ns();
        let is_time = warned.is_none_or(|at: tokio::time::Instant| at.elapsed() >= WARN);
        if is_time && tls.not_after_ns() < now_ns.saturating_add(SOON_NS) {
            warned = Some(tokio::time::Instant::now());
            let (ends, is_over) = (Timestamp(tls.not_after_ns()).to_string(), tls.not_after_ns() <= now_ns);
            warn!(ends, is_over, "the certificate ends soon, or has; renew it");
        }
        let is_asked = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            hangup = hangups.recv() => hangup.is_some(),
            () = tokio::time::sleep(LOOK) => false,
        };
        let (reloading, now_ns) = (tls.clone(), clock.now_ns());
        // A file may lie on a disk that hangs.
        let reloaded = tokio::task::spawn_blocking(move || reloading.reload(is_asked, now_ns)).await;
        match reloaded.map_err(io::Error::other)? {
            Reloaded::Unchanged => {}
            Reloaded::Taken => {
                (told, warned) = (None, None);
                info!(ends = Timestamp(tls.not_after_ns()).to_string(), "certificate read anew");
            }
            Reloaded::Kept(why) => {
                let why = why.to_string();
                if told.as_ref() != Some(&why) || is_asked {
                    error!(error = why, "certificate not read anew; the one before is still used");
                    told = Some(why);
                }
            }
        }
    }
}
