//! What must hold of `[tls]`.

use std::net::SocketAddr;

use super::Config;
use super::values::Values;

/// Notes what of `[tls]` does not go together. The address that others call is one over TLS where TLS is on.
pub(super) fn check(config: &mut Config, values: &mut Values) {
    let of = &config.tls;
    let mut rule = |holds: bool, key: &str, message: &str| {
        if !holds {
            values.problem(values.place(key), key, message);
        }
    };
    let (has_certificate, has_key) = (of.certificate_file.is_some(), of.key_file.is_some());
    rule(has_certificate || !has_key, "tls.certificate_file", "is needed beside tls.key_file");
    rule(has_key || !has_certificate, "tls.key_file", "is needed beside tls.certificate_file");
    let asks_clients = of.client_ca_file.is_some();
    rule(
        has_certificate || !asks_clients,
        "tls.client_ca_file",
        "needs tls.certificate_file: only TLS has client certificates",
    );
    rule(asks_clients || !of.require_client_certificate, "tls.require_client_certificate", "needs tls.client_ca_file");
    rule(
        !(has_certificate && of.terminated_elsewhere),
        "tls.terminated_elsewhere",
        "is set beside tls.certificate_file; take one of them",
    );
    if !asks_clients && let Some(first) = config.auth.certificates.first() {
        let message = "needs tls.client_ca_file: without it no client certificate is believed";
        values.problem(first.place.clone(), "auth.certificates", message);
    }
    let is_tail_secured = config.is_tail_secured();
    if let Some(address) = config.processor.tail_advertise.as_mut().filter(|_| is_tail_secured) {
        address.secure();
    }
}

/// Credentials and records do not leave this machine in clear unless somebody said so. Metrics hold neither.
pub(super) fn check_listener(config: &Config, key: &'static str, address: SocketAddr, values: &mut Values) {
    let is_told = config.insecure || config.tls.terminated_elsewhere;
    if config.tls.is_on() || is_told || key.starts_with("metrics.") || address.ip().to_canonical().is_loopback() {
        return;
    }
    let message = format!(
        "is {address}, beyond this machine, and there is no TLS; set tls.certificate_file and tls.key_file, or \
         tls.terminated_elsewhere = true where a proxy, a mesh or a private network sees to it"
    );
    values.problem(values.place(key), key, message);
}
