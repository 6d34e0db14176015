//! `loglake health`: asks a role on this machine whether it can serve. It stands in for curl where an image has no shell.

mod unverified;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use loglake_service::{Config, Role, Sources, load};

use crate::cli::{HealthArgs, RoleName};
use crate::{exit, ingestor, processor, query};

/// More than any answer has.
const MAX_ANSWER_BYTES: u64 = 16 << 10;

/// Runs it: 0 when all is well, 1 when not, 64 when it was asked wrongly.
pub(crate) fn main(args: HealthArgs) -> ExitCode {
    let role = args.role.map(Role::from);
    let config = match load(role.unwrap_or(Role::Dev), &Sources::from(args.common)) {
        Ok((config, _)) => config,
        Err(problems) => return exit::code(Err(problems.into())),
    };
    let (path, timeout) = (if args.live { "/health" } else { "/ready" }, Duration::from_secs(args.timeout));
    let asked: Vec<_> = places(args.role, &config)
        .into_iter()
        .map(|(role, address)| (role, address, ask(address, config.tls.is_on(), path, timeout)))
        .collect();
    let must_all = args.role.is_some();
    for (role, address, answer) in &asked {
        match answer {
            Ok((_, text)) => println!("{role}: {text}"),
            Err(error) if must_all => eprintln!("loglake: {role} does not answer at {address}: {error}"),
            Err(_) => {}
        }
    }
    let is_well = is_well(must_all, asked.iter().map(|(_, _, answer)| answer.as_ref().ok().map(|(is_ok, _)| *is_ok)));
    if !must_all && asked.iter().all(|(_, _, answer)| answer.is_err()) {
        let addresses: Vec<_> = asked.iter().map(|(_, address, _)| address.to_string()).collect();
        eprintln!("loglake: no role answers at {}; is metrics.*_listen what the role has?", addresses.join(", "));
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether all is well, by what each place answered: whether it is fine, or nothing.
fn is_well(must_all: bool, mut answers: impl Iterator<Item = Option<bool>>) -> bool {
    if must_all {
        return answers.all(|answer| answer == Some(true));
    }
    let there: Vec<bool> = answers.flatten().collect();
    !there.is_empty() && there.iter().all(|is_fine| *is_fine)
}

/// Who is asked, and where.
fn places(role: Option<RoleName>, config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let all = [
        (Role::Ingestor, ingestor::metrics_listener(config)),
        (Role::Processor, processor::metrics_listener(config)),
        (Role::Query, query::metrics_listener(config)),
    ];
    let wanted = role.map(Role::from).filter(|role| *role != Role::Dev);
    let here = all.into_iter().filter(|(role, _)| wanted.is_none_or(|wanted| wanted == *role));
    here.map(|(role, (_, address))| (role.as_str(), reachable(address))).collect()
}

/// The address to ask a listener at: a wildcard is reached by loopback.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// Gets `path`: whether the status was 200, and what stood in the answer.
fn ask(address: SocketAddr, is_secured: bool, path: &str, timeout: Duration) -> io::Result<(bool, String)> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    if is_secured { get(unverified::secure(stream, address)?, address, path) } else { get(stream, address, path) }
}

fn get(mut stream: impl Read + Write, address: SocketAddr, path: &str) -> io::Result<(bool, String)> {
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "what listens there does not speak HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(wrong)?;
    Ok((status == "200", body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_role_must_answer_and_of_several_those_that_do_must_be_fine() {
        for (must_all, answers, expected) in [
            (true, &[Some(true)][..], true),
            (true, &[Some(true), None], false),
            (true, &[None], false),
            (false, &[Some(true), None, None], true),
            (false, &[Some(true), Some(false)], false),
            (false, &[None, None, None], false),
        ] {
            assert_eq!(is_well(must_all, answers.iter().copied()), expected, "{must_all} {answers:?}");
        }
    }

    #[test]
    fn a_wildcard_is_asked_by_loopback() {
        for (listens, asked) in
            [("0.0.0.0:8081", "127.0.0.1:8081"), ("[::]:1", "[::1]:1"), ("10.0.0.7:8081", "10.0.0.7:8081")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
