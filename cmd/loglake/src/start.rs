//! What every role does first: read the configuration, begin to log, make a runtime.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use loglake_auth::keys::ClusterSecret;
use loglake_model::{Clock, Readiness, SystemClock};
use loglake_service::{
    Config, Listener, MetricsServer, Role, Shutdown, Sources, load, name_the_listener, register_process_metrics,
    register_tls_metrics, telemetry,
};
use loglake_transport::{Tls, Trust};
use prometheus::Registry;
use tracing::info;

use crate::roles::Roles;

/// How often the roles are looked at until they are ready.
const READY_POLL: Duration = Duration::from_millis(10);

/// What a role starts from.
pub(crate) struct Start {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readiness: Readiness,
    /// Secures the listeners, where there is a certificate.
    pub(crate) tls: Option<Tls>,
    /// Whom to believe when others are called.
    pub(crate) trust: Trust,
    pub(crate) shutdown: Shutdown,
}

/// Loads the configuration, begins to log, and runs `role` on a new runtime to its end.
pub(crate) fn role<F>(role: Role, sources: &Sources, run: impl FnOnce(Start) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (config, _) = load(role, sources)?;
    // A wrong row is told before anything else is tried.
    crate::token::authenticator(&config)?;
    let (tls, trust) = (loglake_service::tls(&config)?, loglake_service::trust(&config)?);
    telemetry::start(&config.log_level, config.log_format.unwrap_or_else(|| telemetry::default_format(role)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    let done = runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        info!(role = role.as_str(), version = env!("CARGO_PKG_VERSION"), cluster = config.cluster.as_str(), "starting");
        let clock = Arc::new(SystemClock);
        run(Start { config, clock, readiness: Readiness::default(), tls, trust, shutdown }).await
    });
    // A blocking call that hangs on a dead disk or server must not hold the process past its grace.
    runtime.shutdown_background();
    done
}

impl Start {
    /// The secret that internal calls and cursors are signed with.
    pub(crate) fn cluster_secret(&self) -> anyhow::Result<ClusterSecret> {
        let secret = self.config.cluster_secret.as_ref().context("cluster_secret is not set")?;
        Ok(ClusterSecret::from_text(secret.expose())?)
    }

    /// Waits until all roles of this process can serve, and says so in the log; `false` when it is to stop before.
    pub(crate) async fn until_ready(&self) -> bool {
        let ready = async {
            while !self.readiness.waiting().is_empty() {
                tokio::time::sleep(READY_POLL).await;
            }
        };
        tokio::select! {
            () = ready => {
                info!("ready");
                true
            }
            () = self.shutdown.asked() => false,
        }
    }

    /// Binds a role's port for metrics and probes.
    pub(crate) async fn metrics(
        &self,
        role: Role,
        (key, address): (&'static str, SocketAddr),
        registry: &Registry,
    ) -> anyhow::Result<MetricsServer> {
        let version = env!("CARGO_PKG_VERSION");
        register_process_metrics(registry, role.as_str(), version, self.readiness.clone()).context("metrics")?;
        if let Some(tls) = &self.tls {
            register_tls_metrics(registry, tls).context("metrics")?;
        }
        let server = MetricsServer::bind(key, address, registry.clone(), self.readiness.clone()).await;
        Ok(explained(server, &[Listener { key, address }])?.with_tls(self.tls.clone()))
    }

    /// Starts what every process has beside its roles: the certificate is read anew when its files change.
    pub(crate) fn watch(&self, roles: &mut Roles) {
        if let Some(tls) = self.tls.clone() {
            let clock = Arc::clone(&self.clock);
            roles.start("certificate", |stop| loglake_service::watch(tls, clock, stop));
        }
    }
}

/// Passes a role's failure to bind on, with the key at fault.
pub(crate) fn explained<T, E>(bound: Result<T, E>, listeners: &[Listener]) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    bound.map_err(|error| match name_the_listener(&error, listeners) {
        Some(why) => anyhow::Error::msg(why),
        None => anyhow::Error::new(error),
    })
}
