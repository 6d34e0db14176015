use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn from_file(role: Role, text: &str) -> Result<Config, String> {
    let file = file(text);
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    let name = file.path().display().to_string();
    load(role, &sources).map(|(config, _)| config).map_err(|problems| problems.to_string().replace(&name, "FILE"))
}

fn from_environment(role: Role, pairs: &[(&str, &str)]) -> Result<Config, String> {
    let sources = Sources { environment: variables(pairs), ..Sources::default() };
    load(role, &sources).map(|(config, _)| config).map_err(|problems| problems.to_string())
}

#[test]
fn dev_needs_nothing_and_has_the_documented_defaults() {
    let (config, shown) = load(Role::Dev, &Sources::default()).unwrap();
    assert_eq!(config.broker.partitions, 4);
    assert_eq!(config.processor.flush_interval, Duration::from_secs(60));
    assert_eq!(config.processor.flush_bytes, Bytes(64 << 20));
    assert_eq!(config.query.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.ingest.max_age, None);
    assert_eq!(shown.len(), keys().count());
    assert!(shown.iter().all(|shown| shown.place == Place::Default));
}

#[test]
fn roles_name_everything_they_need_at_once() {
    let said = from_environment(Role::Processor, &[]).unwrap_err();
    for part in ["KAFKA_BROKERS", "S3_BUCKET", "REDIS_ADDR", "LOGLAKE_CLUSTER_SECRET"] {
        assert!(said.contains(part), "{said}");
    }
    let config =
        from_environment(Role::Ingestor, &[("KAFKA_BROKERS", "a:9092,b:9092"), ("LOGLAKE_CLUSTER_SECRET", SECRET)])
            .unwrap();
    let said = from_environment(Role::Ingestor, &[]).unwrap_err();
    assert!(said.contains("LOGLAKE_CLUSTER_SECRET") && !said.contains("S3_BUCKET"), "{said}");
    assert_eq!(config.broker.brokers.unwrap().as_slice(), ["a:9092", "b:9092"]);
    assert_eq!(config.broker.partitions, 12);
}

#[test]
fn the_environment_beats_the_file_and_flags_beat_both() {
    let file = file("cluster = \"file\"\n[broker]\ntopic = \"file\"\npartitions = 3\n");
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: variables(&[("LOGLAKE_CLUSTER", "env"), ("LOGLAKE_BROKER_TOPIC", "env")]),
        sets: vec!["broker.topic=flag".to_owned()],
        data: Some("elsewhere".into()),
    };
    let (config, shown) = load(Role::Dev, &sources).unwrap();
    assert_eq!((config.cluster.as_str(), &*config.broker.topic, config.broker.partitions), ("env", "flag", 3));
    assert_eq!(config.data.to_str(), Some("elsewhere"));
    let topic = shown.iter().find(|shown| shown.key == "broker.topic").unwrap();
    assert_eq!((&*topic.value, &topic.place), ("flag", &Place::Flag("--set")));
}

#[test]
fn our_own_name_beats_the_one_that_others_share() {
    let pairs = [("AWS_REGION", "a"), ("LOGLAKE_STORE_REGION", "b"), ("AWS_DEFAULT_REGION", "c")];
    assert_eq!(from_environment(Role::Dev, &pairs).unwrap().store.region.as_deref(), Some("b"));
    assert_eq!(from_environment(Role::Dev, &[pairs[0], pairs[2]]).unwrap().store.region.as_deref(), Some("a"));
}

#[test]
fn all_faults_of_a_file_are_told_with_their_lines() {
    let text = "clustre = \"x\"\ninsecure = \"yes\"\n[processor]\nflush_bytes = \"many\"\nflush_interval = 5\n\
                window = \"7m\"\n[query]\nlisten = \"\"\ntimeout = 1.5\n[nothing]\na = 1\n";
    let said = from_file(Role::Dev, text).unwrap_err();
    let wanted = [
        "FILE:1: clustre: is not a key; do you mean \"cluster\"?",
        "FILE:2: insecure: is a text; it must be true or false, such as false",
        "FILE:4: processor.flush_bytes: \"many\" is not an amount of bytes; write it like \"64MiB\"",
        "FILE:5: processor.flush_interval: is a number; it must be span of time, such as \"5m\"",
        "FILE:6: processor.window: must be whole minutes that divide a day, such as 15m, 1h or 1d",
        "FILE:8: query.listen: is empty; give it a value or leave it out",
        "FILE:9: query.timeout: is a fraction; it must be span of time, such as \"30s\"",
        "FILE:10: nothing: is not a key",
    ];
    let mut said: Vec<&str> = said.lines().collect();
    let mut wanted = wanted.to_vec();
    said.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(said, wanted);
}

#[test]
fn syntax_errors_are_told_with_their_lines() {
    let said = from_file(Role::Dev, "cluster = \"x\"\nbroker = [\n\n[query\n").unwrap_err();
    assert!(said.lines().all(|line| line.starts_with("FILE:")), "{said}");
    assert!(from_file(Role::Dev, "cluster = \"a\"\ncluster = \"b\"\n").unwrap_err().starts_with("FILE:2: "));
    assert!(from_file(Role::Dev, " \n").unwrap_err().contains("is empty"));
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_a_fault() {
    let sources = Sources { file: Some("no/such/file.toml".into()), ..Sources::default() };
    assert!(
        load(Role::Dev, &sources).unwrap_err().to_string().contains("no/such/file.toml:1: the file cannot be read")
    );
    let mut binary = tempfile::NamedTempFile::new().unwrap();
    binary.write_all(&[0xff, 0xfe]).unwrap();
    let sources = Sources { file: Some(binary.path().to_owned()), ..Sources::default() };
    assert!(load(Role::Dev, &sources).is_err());
}

#[test]
fn unknown_and_empty_variables_are_refused_and_those_of_others_passed_over() {
    let pairs = [
        ("LOGLAKE_PROCESSOR_FLUSH_BYTE", "1MiB"),
        ("LOGLAKE_QUERY_LISTEN", ""),
        ("LOGLAKE_TEST_TOOLS", "x"),
        ("LOGLAKE_TOKEN", "ll_x_y"),
        ("PATH", ""),
        ("KAFKA_OTHER", ""),
    ];
    let said = from_environment(Role::Dev, &pairs).unwrap_err();
    let wanted = "LOGLAKE_PROCESSOR_FLUSH_BYTE: is not a variable of loglake; do you mean LOGLAKE_PROCESSOR_FLUSH_BYTES?\n\
                  LOGLAKE_QUERY_LISTEN: query.listen: is empty; give it a value or leave it out";
    assert_eq!(said, wanted);
}

#[test]
fn flags_know_their_keys_and_take_no_secret() {
    let sets = ["nonsense", "clustre=x", "cluster_secret=abc", "auth.tokens=[]", "query.timeout="];
    let sources = Sources { sets: sets.map(str::to_owned).to_vec(), ..Sources::default() };
    let said = load(Role::Dev, &sources).unwrap_err().to_string();
    assert_eq!(said.lines().count(), sets.len(), "{said}");
    assert!(said.contains("arguments can be seen") && !said.contains("abc"), "{said}");
}

#[test]
fn a_secret_in_a_file_that_everybody_may_read_is_refused_with_its_line() {
    let text =
        format!("cluster = \"x\"\ncluster_secret = \"{SECRET}\"\n[index]\naddr = \"redis://u:hunter2@h:6379\"\n");
    let file = file(&text);
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    assert!(load(Role::Dev, &sources).is_ok());
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = load(Role::Dev, &sources).unwrap_err().to_string();
    assert!(
        said.contains(":2: cluster_secret: holds a secret") && said.contains(":4: index.addr: holds a secret"),
        "{said}"
    );
    assert!(!said.contains(SECRET) && !said.contains("hunter2"));
}

#[test]
fn the_cluster_secret_comes_from_a_file_of_its_own_too() {
    let secret = file(&format!("{SECRET}\n"));
    let path = secret.path().to_str().unwrap();
    let config = from_environment(Role::Dev, &[("LOGLAKE_CLUSTER_SECRET_FILE", path)]).unwrap();
    assert_eq!(config.cluster_secret.unwrap().expose(), SECRET);
    std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(
        from_environment(Role::Dev, &[("LOGLAKE_CLUSTER_SECRET_FILE", path)])
            .unwrap_err()
            .contains("everybody may read")
    );
    assert!(from_environment(Role::Dev, &[("LOGLAKE_CLUSTER_SECRET_FILE", "no/such")]).is_err());
    assert!(from_environment(Role::Dev, &[("LOGLAKE_CLUSTER_SECRET", "short")]).unwrap_err().contains("has 5 bytes"));
}

#[test]
fn nothing_secret_is_shown() {
    let pairs = [("LOGLAKE_CLUSTER_SECRET", SECRET), ("REDIS_ADDR", "redis://user:hunter2@host:6379/1")];
    let sources = Sources { environment: variables(&pairs), ..Sources::default() };
    let (config, shown) = load(Role::Dev, &sources).unwrap();
    for text in [format!("{config:?}"), format!("{shown:?}")] {
        assert!(!text.contains(SECRET) && !text.contains("hunter2"), "{text}");
        assert!(text.contains("(hidden)"));
    }
}

#[test]
fn open_mode_stays_on_this_machine() {
    let wide = [("LOGLAKE_QUERY_LISTEN", "0.0.0.0:8080"), ("LOGLAKE_METRICS_QUERY_LISTEN", "0.0.0.0:8083")];
    let said = from_environment(Role::Dev, &wide).unwrap_err();
    assert!(said.starts_with("LOGLAKE_QUERY_LISTEN: query.listen: is 0.0.0.0:8080, beyond this machine"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let row = r#"[{id = "a", sha256 = "00", tenant = "t", scopes = ["query"]}]"#;
    let elsewhere = ("LOGLAKE_TLS_TERMINATED_ELSEWHERE", "true");
    let closed = from_environment(Role::Dev, &[wide[0], ("LOGLAKE_AUTH_TOKENS", row), elsewhere]).unwrap();
    assert_eq!(closed.auth.tokens[0].scopes, ["query"]);
    // Whoever sees to TLS does not see to credentials.
    assert!(from_environment(Role::Dev, &[wide[0], elsewhere]).unwrap_err().contains("nobody needs a credential"));
    assert!(from_environment(Role::Dev, &[wide[0], ("LOGLAKE_INSECURE", "true")]).is_ok());
}

#[test]
fn nothing_is_sent_in_clear_beyond_this_machine_unless_somebody_says_so() {
    let row = ("LOGLAKE_AUTH_TOKENS", r#"[{id = "a", sha256 = "00", tenant = "t", scopes = ["query"]}]"#);
    let wide = [
        ("LOGLAKE_QUERY_LISTEN", "0.0.0.0:8080"),
        ("LOGLAKE_INGEST_GRPC_LISTEN", "[::]:50051"),
        ("LOGLAKE_INGEST_HTTP_LISTEN", "10.0.0.1:4318"),
        ("LOGLAKE_PROCESSOR_TAIL_LISTEN", "10.0.0.1:50053"),
        ("LOGLAKE_METRICS_QUERY_LISTEN", "0.0.0.0:8083"),
    ];
    let with = |more: &[(&str, &str)]| from_environment(Role::Dev, &[&[row], &wide[..], more].concat());
    let said = with(&[]).unwrap_err();
    // Metrics hold neither credentials nor records.
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.lines().all(|line| line.contains("there is no TLS; set tls.certificate_file")), "{said}");
    let files = [("LOGLAKE_TLS_CERTIFICATE_FILE", "c.pem"), ("LOGLAKE_TLS_KEY_FILE", "k.pem")];
    for enough in [&files[..], &[("LOGLAKE_INSECURE", "true")], &[("LOGLAKE_TLS_TERMINATED_ELSEWHERE", "true")]] {
        assert!(with(enough).is_ok(), "{enough:?}");
    }
    // Loopback in every spelling is this machine.
    assert!(from_environment(Role::Dev, &[row, ("LOGLAKE_QUERY_LISTEN", "[::ffff:127.0.0.1]:1")]).is_ok());
}

#[test]
fn what_of_tls_does_not_go_together_is_told() {
    let text = "[tls]\nkey_file = \"k\"\nclient_ca_file = \"a\"\n[[auth.certificates]]\nsan = \"a.b\"\ntenant = \"t\"\n\
                scopes = [\"query\"]\n";
    let said = from_file(Role::Dev, text).unwrap_err();
    assert!(said.contains("tls.certificate_file: is needed beside tls.key_file"), "{said}");
    assert!(said.contains("FILE:3: tls.client_ca_file: needs tls.certificate_file"), "{said}");
    let rows = ("LOGLAKE_AUTH_CERTIFICATES", r#"[{san = "spiffe://a/b", tenant = "t", scopes = ["query"]}]"#);
    let said = from_environment(Role::Dev, &[rows, ("LOGLAKE_TLS_REQUIRE_CLIENT_CERTIFICATE", "true")]).unwrap_err();
    assert!(said.contains("LOGLAKE_AUTH_CERTIFICATES: auth.certificates: needs tls.client_ca_file"), "{said}");
    assert!(said.contains("tls.require_client_certificate: needs tls.client_ca_file"), "{said}");
    let files = [
        ("LOGLAKE_TLS_CERTIFICATE_FILE", "c"),
        ("LOGLAKE_TLS_KEY_FILE", "k"),
        ("LOGLAKE_TLS_CLIENT_CA_FILE", "a"),
        ("LOGLAKE_PROCESSOR_TAIL_ADVERTISE", "p1:50053"),
    ];
    let with = |more: &[(&str, &str)]| from_environment(Role::Dev, &[&files[..], &[rows], more].concat()).unwrap();
    let config = with(&[]);
    assert_eq!((&*config.auth.certificates[0].san, config.is_open()), ("spiffe://a/b", false));
    // Nobody vouches for loopback, unless it is said who.
    assert_eq!(config.processor.tail_advertise.unwrap().url(), "http://p1:50053");
    for vouched in [("LOGLAKE_TLS_CA_FILE", "ca"), ("LOGLAKE_PROCESSOR_TAIL_LISTEN", "10.0.0.1:50053")] {
        assert_eq!(with(&[vouched]).processor.tail_advertise.unwrap().url(), "https://p1:50053");
    }
}

#[test]
fn rows_for_certificates_are_read_with_their_lines_and_all_their_faults() {
    let text = "[[auth.certificates]]\nsan = 7\ntennant = \"t\"\nscopes = []\n";
    let said = from_file(Role::Dev, text).unwrap_err();
    let wanted = [
        "FILE:3: auth.certificates[0].tennant: is not a field of a certificate; do you mean \"tenant\"?",
        "FILE:2: auth.certificates[0].san: is not a text, or empty",
        "FILE:1: auth.certificates[0].tenant: is missing",
        "FILE:4: auth.certificates[0].scopes: is a list of \"ingest\", \"query\", \"admin\", with at least one",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn tokens_are_read_with_their_lines_and_all_their_faults() {
    let text = "[[auth.tokens]]\nid = \"a\"\nsha256 = \"ab\"\ntenant = \"t\"\nscopes = [\"ingest\", \"query\"]\n\
                expires = 2027-01-01T00:00:00Z\n";
    let row = from_file(Role::Dev, text).unwrap().auth.tokens.remove(0);
    assert_eq!((&*row.id, &*row.tenant, row.expires.as_deref()), ("a", "t", Some("2027-01-01T00:00:00Z")));
    assert!(matches!(row.place, Place::File { line: 1, .. }));

    let text = "[[auth.tokens]]\nid = 7\nsha265 = \"ab\"\ntenant = \"\"\nscopes = []\n";
    let said = from_file(Role::Dev, text).unwrap_err();
    let wanted = [
        "FILE:3: auth.tokens[0].sha265: is not a field of a token; do you mean \"sha256\"?",
        "FILE:2: auth.tokens[0].id: is not a text, or empty",
        "FILE:1: auth.tokens[0].sha256: is missing",
        "FILE:4: auth.tokens[0].tenant: is not a text, or empty",
        "FILE:5: auth.tokens[0].scopes: is a list of \"ingest\", \"query\", \"admin\", with at least one",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    assert!(from_file(Role::Dev, "[auth]\ntokens = 1\n").unwrap_err().contains("is not a list of tables"));
}

#[test]
fn addresses_are_checked() {
    for (name, bad) in [
        ("KAFKA_BROKERS", "host"),
        ("KAFKA_BROKERS", "a:1,,b:2"),
        ("KAFKA_BROKERS", "a:0"),
        ("REDIS_ADDR", "http://a:1"),
        ("REDIS_ADDR", "redis://a"),
        ("REDIS_ADDR", "redis://a:1,b:2"),
        ("REDIS_ADDR", "redis-cluster://a:1,b"),
        ("REDIS_ADDR", "redis-cluster://a:1/3"),
        ("REDIS_ADDR", "redis-sentinel://a:1"),
        ("REDIS_ADDR", "redis-sentinel://a:1/main?password=x"),
        ("S3_ENDPOINT", "127.0.0.1:9000"),
        ("LOGLAKE_QUERY_LISTEN", "8080"),
        ("LOGLAKE_PROCESSOR_TAIL_ADVERTISE", "here"),
        ("LOGLAKE_PROCESSOR_TAIL_ADVERTISE", "ftp://p1:1"),
        ("REDIS_ADDR", "rediss://a"),
        ("REDIS_ADDR", "redisss://a:1"),
        ("LOGLAKE_CLUSTER", "../x"),
        ("LOG_LEVEL", "loud"),
        ("LOGLAKE_BROKER_PARTITIONS", "0"),
        ("LOGLAKE_BROKER_PARTITIONS", "-1"),
    ] {
        assert!(from_environment(Role::Dev, &[(name, bad)]).is_err(), "{name}={bad}");
    }
    let good = [
        ("LOGLAKE_PROCESSOR_TAIL_ADVERTISE", "p1:50053"),
        ("LOGLAKE_QUERY_LISTEN", "localhost:0"),
        ("LOG_LEVEL", "info,a=debug"),
    ];
    let config = from_environment(Role::Dev, &good).unwrap();
    assert_eq!(config.processor.tail_advertise.unwrap().url(), "http://p1:50053");
}

#[test]
fn two_listeners_on_one_address_are_told_apart() {
    let pairs = [("LOGLAKE_QUERY_LISTEN", "127.0.0.1:7000"), ("LOGLAKE_INGEST_HTTP_LISTEN", "127.0.0.1:7000")];
    let said = from_environment(Role::Dev, &pairs).unwrap_err();
    assert!(said.contains("query.listen: is 127.0.0.1:7000, the same as ingest.http_listen"), "{said}");
    let wild = [("LOGLAKE_PROCESSOR_TAIL_LISTEN", "0.0.0.0:50053")];
    assert!(from_environment(Role::Dev, &wild).unwrap_err().contains("tail_advertise: is needed"));
}

#[test]
fn a_message_cannot_play_tricks_on_a_terminal() {
    let said = from_environment(Role::Dev, &[("LOGLAKE_LOG_FORMAT", "\u{1b}[2Jx")]).unwrap_err();
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn the_documentation_of_the_keys_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let (begin, end) = ("<!-- keys: made by a test of loglake-service -->\n", "<!-- end of keys -->\n");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(begin).expect("the page has the mark");
    let (_, tail) = rest.split_once(end).expect("the page has the end mark");
    let current = format!("{head}{begin}{}\n{end}{tail}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).unwrap();
    } else {
        assert_eq!(page, current, "run: UPDATE_DOCS=1 cargo test -p loglake-service");
    }
}
