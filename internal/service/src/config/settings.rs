//! Everything that can be set. A field's comment is its documentation, here and in `docs/configuration.md`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::declare::settings;
use super::values::Values;
use super::{
    Addresses, Advertised, Bytes, CertificateRow, ClusterName, Key, LogFilter, LogFormat, LostRecords, RedisAddress,
    Secret, Shape, TokenRow, Words,
};

settings! {
    /// The whole configuration of one process.
    Config "" {
        /// Names the chains in the bucket and the keys in the index; two clusters may share a bucket.
        cluster: ClusterName = "default";
        /// The data folder of `loglake dev`: log, index, objects and secret. Other roles keep nothing on disk.
        data: PathBuf = "data";
        /// Internal calls, cursors and the tokens of sessions are signed with keys derived from it: the same on every process of a
        /// cluster, 32 bytes or more. Not a flag: arguments can be seen. `loglake dev` makes one in its data folder.
        cluster_secret: Option<Secret> = "";
        /// A file that holds the cluster secret, instead of the secret itself. Only its owner may read it.
        cluster_secret_file: Option<PathBuf> = "";
        /// Allows listening on other addresses than loopback without credentials and without TLS. Everybody who reaches the port is
        /// then every tenant, and everybody on the way reads along.
        insecure: bool = "false";
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, also by part: `info,loglake_query=debug`. `debug` costs
        /// some microseconds a request.
        log_level: LogFilter = "info", env "LOG_LEVEL";
        /// How it is logged: `json`, one object a line, or `text`. Default: `json`; `text` under `loglake dev` on a terminal.
        log_format: Option<LogFormat> = "";
        /// How long a stopping process may take to finish what it began (requests, then the last flush) before it ends anyway.
        /// Nothing acknowledged is lost either way; a cut flush is done again from the log after the restart.
        grace: Duration = "30s";
    }
    with {
        /// The broker.
        broker: Broker;
        /// The object store.
        store: Store;
        /// The chunk index.
        index: Index;
        /// The processor.
        processor: Processor;
        /// The ingestor.
        ingest: Ingest;
        /// The query service.
        query: Query;
        /// Metrics and health.
        metrics: Metrics;
        /// TLS.
        tls: Transport;
        /// Who may do what.
        auth: Auth;
        /// People's credentials.
        oidc: Oidc;
        /// Calls to what is outside.
        outgoing: Outgoing;
        /// How much of it.
        limits: Limits;
    }
}

settings! {
    /// The broker: Kafka for the roles, a local log under `loglake dev`.
    Broker "broker." {
        /// Kafka's bootstrap servers, `host:port`. Needed by every role but `dev`, which has a log of its own.
        brokers: Option<Addresses> = "", env "KAFKA_BROKERS";
        /// The topic that holds the raw batches.
        topic: String = "logs.raw";
        /// How many partitions the topic gets when it is made. More spread the load wider; each costs a processor some memory
        /// and every flush an object a stream. More can be added later, none can be taken away.
        partitions: u32 = "12", dev "4";
        /// How many copies Kafka keeps when the topic is made. Take 3 on a real cluster: from 3 on, an append needs two of them
        /// in sync.
        replication: u32 = "1";
        /// The consumer group of the processors.
        group: String = "loglake";
        /// Takes a topic (or the local log of `loglake dev`) that is not the one which the records in the bucket came from: one
        /// that was deleted and made anew. Older records stay and are answered. Without it processor, query service and `dev`
        /// refuse to start then, as it may also be the wrong broker. Needed for one start only.
        accept_new_topic: bool = "false";
        /// After how long without a sign of life a processor loses its partitions. Shorter: a crash is noticed sooner; longer:
        /// a stalled machine keeps what it has.
        session_timeout: Duration = "10s";
        /// `dev` only: the most the local log may take on disk. Past it ingest is refused until the processor has caught up.
        max_bytes: Bytes = "16GiB";
        /// `dev` only: free space on the data folder's disk that ingest leaves alone. When less is free, records are refused (507,
        /// `RESOURCE_EXHAUSTED`) until there is space again; flushing, which needs it, and queries go on. Default: 1 GiB, at most a
        /// twentieth of the disk.
        disk_reserve: Option<Bytes> = "";
        /// `dev` only: how large a segment file of the local log grows. A segment goes as a whole, once all of it is flushed.
        segment_bytes: Bytes = "64MiB";
        /// `dev` only: how many bytes of recent messages of the local log stay in memory. The log is written past the page cache where
        /// the file system allows it, so a processor that falls behind further reads them from the disk.
        tail_bytes: Bytes = "48MiB";
    }
}

settings! {
    /// The object store: S3 or what speaks like it for the roles, a folder under `loglake dev`.
    Store "store." {
        /// Where the store is, when it is not Amazon's: `http://127.0.0.1:9000`.
        endpoint: Option<String> = "", env "S3_ENDPOINT";
        /// The bucket. Needed by the processor and the query service. Credentials come from `AWS_ACCESS_KEY_ID`,
        /// `AWS_SECRET_ACCESS_KEY` and the rest of the usual chain.
        bucket: Option<String> = "", env "S3_BUCKET";
        /// The region that requests are signed for. Default: what the profile says, else `us-east-1`.
        region: Option<String> = "", env "AWS_REGION" "AWS_DEFAULT_REGION";
        /// Makes the bucket when it is not there.
        create_bucket: bool = "false";
        /// Puts the bucket in the path and not in the host's name. Default: whenever there is an endpoint.
        path_style: Option<bool> = "";
    }
}

settings! {
    /// The chunk index: Redis for the roles, a local one under `loglake dev`. It can be lost: it is rebuilt from the bucket.
    Index "index." {
        /// Where Redis is: `host:port` or `redis://[user:password@]host:port[/db]`; a cluster by some of its nodes: `redis-cluster://[user:password@]host:port,host:port`; a master behind sentinels: `redis-sentinel://[user:password@]host:port,host:port/master[/db][?sentinel_user=u&sentinel_password=p]`. With TLS: `rediss://`, `rediss-cluster://`, `rediss-sentinel://`. Names and passwords are percent-encoded. Needed by the processor and the query service.
        addr: Option<RedisAddress> = "", env "REDIS_ADDR";
    }
}

settings! {
    /// The processor: builds chunks and commits them.
    Processor "processor." {
        /// A partition is flushed when it holds so many bytes of lines. More: fewer and larger objects, more memory and a longer
        /// replay after a crash.
        flush_bytes: Bytes = "64MiB";
        /// A partition is flushed when its oldest line has waited so long. Lines are durable and can be queried long before.
        /// With `flush_bytes` it decides how many objects a month there are.
        flush_interval: Duration = "5m", dev "1m";
        /// The most that lines may hold in memory, flushed or not, with the chunks that are made of them. Where it gets tight,
        /// flushed lines are forgotten before `tail_hold`; where half of it waits to be flushed, the partitions with the most of
        /// it are; past it consuming waits.
        memory_bytes: Bytes = "192MiB";
        /// How many chunks a partition may have open (a chunk is a tenant's service in a window). Past it the least recently
        /// used are flushed. Each costs memory and, at the flush, an object.
        max_open_chunks: u32 = "8000";
        /// The span of event time that a chunk holds: whole minutes, a divisor of a day. Shorter: queries over little time
        /// read less; longer: fewer objects.
        window: Duration = "1h";
        /// How large a block of a chunk is before compression, 256KiB to 4MiB. Smaller: a match costs less to read; larger:
        /// it compresses better.
        block_bytes: Bytes = "512KiB";
        /// Where the query services ask for what is not flushed yet.
        tail_listen: SocketAddr = "127.0.0.1:50053";
        /// The address under which query services reach `tail_listen`, as `host:port`, `http://host:port` or `https://host:port`; with
        /// TLS it is always `https://`, and the certificate must have the host. Default: `tail_listen` itself, which must then not be
        /// a wildcard.
        tail_advertise: Option<Advertised> = "";
        /// How long flushed lines stay in memory for queries that read the index just before.
        tail_hold: Duration = "30s";
        /// A partition's chain of commits is folded into a checkpoint when so many entries stand after the last one, 1 to 500.
        /// More: longer start-up; fewer: more small objects written.
        fold_entries: u32 = "64";
        /// How long entries stay once they are folded into a checkpoint. Longer than the longest commit takes, so that a slow
        /// writer need not do its work twice.
        fold_grace: Duration = "10m";
        /// How often a processor looks for objects that no chain names (left by crashes) and deletes them. Each time costs one
        /// listing of the bucket's `data/`. Off while several clusters share a bucket.
        collect_interval: Duration = "1h";
        /// What becomes of a partition when the broker deleted records before they were flushed (its retention ran past a stopped
        /// processor). `halt`: it stands still and says so until somebody decides. `gap`: it goes on after them; every answer
        /// that could have held them names the gap from then on.
        on_lost_records: LostRecords = "halt";
    }
}

settings! {
    /// The ingestor: takes records in.
    Ingest "ingest." {
        /// Where gRPC is served: `loglake.ingest.v1.IngestService`, health, reflection.
        grpc_listen: SocketAddr = "127.0.0.1:50051";
        /// Where HTTP is served: `POST /v1/ingest`.
        http_listen: SocketAddr = "127.0.0.1:4318";
        /// How far ahead of the clock a record's time may be. One further ahead is refused.
        max_future: Duration = "1h";
        /// How old a record may be. One older is refused. Default: any age.
        max_age: Option<Duration> = "";
        /// The most that all requests not yet acknowledged may hold, 64MiB to 4095MiB. Past it callers wait or are told to slow
        /// down. Memory follows at about twice its size.
        in_flight_bytes: Bytes = "64MiB";
        /// Keeps the time of receipt in each line; it costs about 3 % of the bytes.
        keep_received_at: bool = "false";
    }
}

settings! {
    /// The query service: answers.
    Query "query." {
        /// Where HTTP is served: `POST /v1/query`, `/v1/aggregate`, `/v1/services`, `/health`, `/ready`.
        listen: SocketAddr = "127.0.0.1:8080";
        /// The longest a query may take.
        timeout: Duration = "30s";
        /// The largest page. A page that reaches it ends early and has a cursor.
        page_bytes: Bytes = "16MiB";
        /// How many queries run at once; others wait for their turn, within their time.
        concurrent: u32 = "16";
        /// How much memory large plans may take, where a plan has about 1 KiB for each chunk in the range asked for: two queries at a
        /// time may have half of it each, and each other one that runs a thirty-second. Past it queries wait, or are refused (422).
        plan_bytes: Bytes = "256MiB";
        /// How many bytes a query reads ahead of what it has merged. More: faster over a slow store, more memory a query.
        look_ahead_bytes: Bytes = "8MiB";
        /// How many bytes of chunk footers stay in memory.
        footer_cache_bytes: Bytes = "64MiB";
        /// How many bytes of blocks, compressed as they are stored, stay in memory; 0 for none. Each one that is found there saves
        /// a request to the store; it is decompressed for every query.
        cache_memory_bytes: Bytes = "64MiB", dev "16MiB";
        /// A folder on a local disk where footers and blocks that were read of objects are kept, over restarts too: for stores far away
        /// or dear to ask. No other process may use it. Default: none is kept.
        cache_dir: Option<PathBuf> = "";
        /// How many bytes that folder may take; what was not asked for longest goes first.
        cache_disk_bytes: Bytes = "10GiB";
    }
}

settings! {
    /// Each role's own port for Prometheus (`/metrics`) and probes (`/health`, `/ready`). They need no credential, and name
    /// tenants only where `metrics.tenants` says so.
    Metrics "metrics." {
        /// The ingestor's.
        ingestor_listen: SocketAddr = "127.0.0.1:8081";
        /// The processor's.
        processor_listen: SocketAddr = "127.0.0.1:8082";
        /// The query service's.
        query_listen: SocketAddr = "127.0.0.1:8083";
        /// How many tenants each process counts by name, 0 to 10000: the first that it meets; all others are counted together
        /// as `_other`. Each costs Prometheus some ten time series a process. Whoever reaches the metrics' ports then sees who
        /// the tenants are and how much they send: keep those ports to those who run this.
        tenants: u32 = "0";
    }
}

impl Metrics {
    /// How many tenants have a label of their own.
    #[must_use]
    pub fn tenant_labels(&self) -> usize {
        usize::try_from(self.tenants).unwrap_or(usize::MAX)
    }
}

settings! {
    /// TLS, on all listeners of the process (also those for metrics and the tail) as soon as there is a certificate. The files are
    /// read anew when they change, within some seconds, and on SIGHUP; what cannot be used leaves what was good before in use.
    /// A tail port on loopback is secured only where there is `tls.ca_file`.
    Transport "tls." {
        /// The certificate that all listeners show, PEM, with those between it and its authority after it.
        certificate_file: Option<PathBuf> = "";
        /// Its private key, PEM. Nobody but its owner and group may read it.
        key_file: Option<PathBuf> = "";
        /// The authorities whose client certificates are believed, PEM: the ports for clients ask for a certificate then. What its
        /// holder may do is in `auth.certificates`; a client that shows none needs a token as ever.
        client_ca_file: Option<PathBuf> = "";
        /// Turns away who shows no client certificate, on the ports for clients. Metrics and tail ask for none.
        require_client_certificate: bool = "false";
        /// The authorities that this process believes when it calls processors and Redis (`rediss://`), PEM; and, besides the
        /// system's, when it calls the object store. Read at the start only. Default: the system's.
        ca_file: Option<PathBuf> = "";
        /// Says that TLS is done before it gets here: by a proxy, a mesh, or a network that nobody else is on. Without it and without
        /// a certificate no port but those for metrics may be other than loopback.
        terminated_elsewhere: bool = "false";
    }
}

impl Transport {
    /// Whether listeners speak TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.certificate_file.is_some()
    }
}

impl Config {
    /// Whether the tail port speaks TLS too. On loopback only where `tls.ca_file` says who vouches for it: a certificate from
    /// elsewhere has no such name.
    #[must_use]
    pub fn is_tail_secured(&self) -> bool {
        self.tls.is_on() && (self.tls.ca_file.is_some() || !self.processor.tail_listen.ip().is_loopback())
    }
}

settings! {
    /// Who may do what.
    Auth "auth." {
        /// Asks for a credential also where the file has no `auth.tokens`: those that `loglakectl tokens` made, and which rest in the
        /// object store, are the only ones then. Without it and without `auth.tokens` everybody is the tenant they say, on loopback.
        required: bool = "false";
        /// How often each process looks for tokens that were made, rotated or revoked: a listing in the object store each time. A
        /// token that was revoked is good for as long, and on an open stream for 5 s more.
        refresh: Duration = "10s";
    }
    with {
        /// The API tokens of the configuration.
        tokens: Vec<TokenRow>;
        /// Whose client certificates are credentials.
        certificates: Vec<CertificateRow>;
    }
}

impl Auth {
    /// The key of [`Auth::tokens`], which is read as rows.
    pub(super) const TOKENS: Key = Key {
        name: "auth.tokens",
        aliases: &[],
        shape: Shape::Rows,
        default: "",
        dev_default: None,
        doc: &[
            "API tokens: `[[auth.tokens]]` with `id`, `sha256`, `tenant`, `scopes` and, if it ends, `expires`.",
            "`loglake token new` prints a token and its row. In the environment: the same rows as an inline TOML array.",
            "The tokens of `loglakectl tokens` are good beside them; with neither, and without `auth.required` and `oidc.issuer`, everything is open.",
        ],
        hides: |_| false,
    };

    /// The key of [`Auth::certificates`].
    pub(super) const CERTIFICATES: Key = Key {
        name: "auth.certificates",
        aliases: &[],
        shape: Shape::Rows,
        default: "",
        dev_default: None,
        doc: &[
            "Whose client certificates are credentials: `[[auth.certificates]]` with `san` (a URI or a DNS name that stands in the",
            "certificate, no pattern), `tenant` and `scopes`. Needs `tls.client_ca_file`. A change needs a restart.",
        ],
        hides: |_| false,
    };
}

impl Config {
    /// Whether nobody needs a credential.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let of = &self.auth;
        of.tokens.is_empty() && of.certificates.is_empty() && !of.required && self.oidc.issuer.is_none()
    }
}

settings! {
    /// People's credentials: the signed tokens of an OpenID Connect issuer (Keycloak, Entra, Okta, Google and the like), taken where
    /// Loglake's own are. Off without `oidc.issuer`; with it everybody needs a credential.
    Oidc "oidc." {
        /// The issuer, exactly as its tokens say it in `iss`: `https://id.example.com/realms/main`. Its keys are found by
        /// `/.well-known/openid-configuration` below it.
        issuer: Option<String> = "";
        /// What `aud` of a token must hold: the name that this installation has at the issuer. Needed with `oidc.issuer`.
        audience: String = "";
        /// The algorithms that may sign: of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`.
        algorithms: Words = "RS256,ES256";
        /// The tenant of everybody whom the issuer knows. Either this or `oidc.tenant_claim`.
        tenant: Option<String> = "";
        /// The claim of a token that names its tenant, a text.
        tenant_claim: Option<String> = "";
        /// What everybody may do, where no `oidc.scope_claim` is set.
        scopes: Words = "query";
        /// The claim that says what somebody may do, such as `scope` or `groups`: a list, or words in a text. `loglake:query` in it
        /// allows `query`, and so on; whoever has none may do nothing.
        scope_claim: Option<String> = "";
        /// How often the issuer's keys are fetched. A token signed by a key that is not known makes it happen sooner, at most every
        /// 10 s. While the issuer does not answer, the last keys stay good.
        refresh: Duration = "5m";
    }
}

settings! {
    /// Calls to what is outside of this installation (the issuer's). They go to `https` and to public addresses alone, follow no
    /// redirects and take at most 1 MiB.
    Outgoing "outgoing." {
        /// Hosts that may be called although their addresses are inside this network, as they stand in the URL: `id.intern`, `10.1.2.3`.
        inside_hosts: Words = "";
        /// The authorities that such servers are trusted by, a PEM file, instead of the system's.
        ca_file: Option<PathBuf> = "";
    }
}

settings! {
    /// How much a tenant may take, where `loglakectl tenants limit` says nothing else of it; 0 is unlimited. See `docs/security.md`.
    Limits "limits." {
        /// How many bytes a second a tenant may send, as they are once decompressed. Past it requests are refused (429,
        /// `RESOURCE_EXHAUSTED`) and streams slowed down.
        ingest_bytes: Bytes = "256MiB", dev "0";
        /// How many records a second.
        ingest_records: u32 = "1000000", dev "0";
        /// How many seconds' worth of both may come at once, 1s to 1h. A request of more than that never passes.
        ingest_burst: Duration = "10s";
        /// How many services a tenant may have within an hour, up to 1000000. Past it records of new ones are refused. Each costs an
        /// ingestor some 30 bytes of memory, and a processor a chunk.
        services: u32 = "10000";
        /// How many of them may be new in an hour, up to 1000000. Not counted in an ingestor's first five minutes: all are new to it then.
        new_services: u32 = "5000";
        /// How many hours of event time, of a service each, a tenant may send records of within ten minutes, up to 1000000. Each is a
        /// chunk that a processor keeps open and a small object: what random event times would make without end. Leave at least two
        /// for each of its services, and more for what is sent of the past.
        windows: u32 = "50000";
        /// How many attributes a record may have, at most 256.
        attributes: u32 = "256";
        /// How many queries of a tenant run at a time in one query service; others wait for their turn. Less than `query.concurrent`
        /// leaves room for other tenants.
        query_concurrency: u32 = "8";
        /// How many bytes of blocks, decompressed, a query may search. Past it a page ends early and has a cursor; a count is refused
        /// (422).
        query_bytes: Bytes = "32GiB";
        /// The longest a query may take, where that is less than `query.timeout`.
        query_time: Duration = "0s";
        /// How many bytes of chunks a tenant may have at rest. Past it nothing more of it is taken (507, `quota_exceeded`) until its limit
        /// is raised. Ingestors ask the index: they need `index.addr` and `store.bucket`. What is not flushed yet is not counted.
        stored_bytes: Bytes = "0";
    }
}

/// A part of a section that is not made of keys with one value.
trait Part {
    fn read(values: &mut Values) -> Self;
}

impl Part for Vec<TokenRow> {
    fn read(values: &mut Values) -> Self {
        values.take_tokens()
    }
}

impl Part for Vec<CertificateRow> {
    fn read(values: &mut Values) -> Self {
        values.take_certificates()
    }
}

/// All keys, section by section.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    const ROWS: &[Key] = &[Auth::TOKENS, Auth::CERTIFICATES];
    [
        Config::KEYS,
        Broker::KEYS,
        Store::KEYS,
        Index::KEYS,
        Processor::KEYS,
        Ingest::KEYS,
        Query::KEYS,
        Metrics::KEYS,
        Transport::KEYS,
        Auth::KEYS,
        ROWS,
        Oidc::KEYS,
        Outgoing::KEYS,
        Limits::KEYS,
    ]
    .into_iter()
    .flatten()
}
