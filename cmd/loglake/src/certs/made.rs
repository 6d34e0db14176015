use loglake_model::TenantName;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use time::{Duration, OffsetDateTime};

/// How long the certificates are good.
pub(super) const DAYS: i64 = 365;
/// The names that every server's certificate has.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An authority and what it signed.
pub(super) struct Made {
    pub(super) ca: Pair,
    pub(super) server: Pair,
    pub(super) client: Pair,
    /// Those of the server.
    pub(super) names: Vec<String>,
    /// That of the client.
    pub(super) san: String,
}

impl Made {
    /// Makes them: the server's for this machine and `names` (DNS names or addresses), the client's for `tenant`.
    pub(super) fn new(names: &[String], tenant: &TenantName, now_ns: i64) -> Result<Self, rcgen::Error> {
        let now = OffsetDateTime::from_unix_timestamp(now_ns / 1_000_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut of_ca = params(Vec::new(), "Loglake development authority", now)?;
        of_ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        of_ca.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let ca = Pair { certificate: of_ca.self_signed(&key)?.pem(), key: key.serialize_pem() };
        let issuer = Issuer::new(of_ca, key);

        let mut names: Vec<String> = LOCAL.iter().map(|name| (*name).to_owned()).chain(names.iter().cloned()).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let of_server = params(names.clone(), "loglake", now)?;
        let server = signed(of_server, ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;

        let san = format!("spiffe://loglake.dev/{tenant}");
        let mut of_client = params(Vec::new(), &format!("a client of {tenant}"), now)?;
        of_client.subject_alt_names = vec![SanType::URI(san.as_str().try_into()?)];
        let client = signed(of_client, ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
        Ok(Self { ca, server, client, names, san })
    }
}

fn params(names: Vec<String>, common_name: &str, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Clocks differ a little.
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(DAYS);
    Ok(params)
}

fn signed(
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Pair, rcgen::Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, issuer)?.pem(), key: key.serialize_pem() })
}
