use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

/// Where everything listens.
pub(crate) struct Banner<'a> {
    pub(crate) data: &'a Path,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) query: SocketAddr,
    pub(crate) metrics: [SocketAddr; 3],
    pub(crate) is_open: bool,
    pub(crate) is_secured: bool,
}

impl Banner<'_> {
    /// Prints it: what is where, what to try first, and how to stop. A closed standard output is no fault.
    pub(crate) fn print(&self) {
        let mut out = io::stdout().lock();
        let done = out.write_all(self.text().as_bytes()).and_then(|()| out.flush());
        if let Err(error) = done {
            tracing::debug!(%error, "banner not shown");
        }
    }

    fn text(&self) -> String {
        let Self { grpc, http, query, .. } = self;
        let [ingestor, processor, queries] = self.metrics;
        let data = self.data.display();
        let credential = if self.is_open { "" } else { " \\\n      -H \"Authorization: Bearer $LOGLAKE_TOKEN\"" };
        let (scheme, authority) = if self.is_secured { ("https", " --cacert ca.pem") } else { ("http", "") };
        let mode = if self.is_open { "open: no tokens are set, loopback only" } else { "closed: a token is needed" };
        format!(
            "
  loglake {version} is up

    query     {scheme}://{query}           POST /v1/query, GET /v1/services
    ingest    {scheme}://{http}           POST /v1/ingest (NDJSON or JSON)
    grpc      {grpc}                  loglake.ingest.v1.IngestService, with reflection
    metrics   {scheme}://{ingestor}/metrics   (ingestor; {processor} processor, {queries} query)
    data      {data}
    access    {mode}

  Try it:

    curl -s{authority} {scheme}://{http}/v1/ingest -H 'Content-Type: application/x-ndjson'{credential} \\
      -d '{{\"service\":\"shop\",\"level\":\"error\",\"message\":\"payment timeout\"}}'

    curl -s{authority} {scheme}://{query}/v1/query -H 'Content-Type: application/json'{credential} \\
      -d '{{\"contains\":\"timeout\"}}'

  Stop it with Ctrl-C; what was acknowledged stays.

",
            version = env!("CARGO_PKG_VERSION"),
        )
    }
}
