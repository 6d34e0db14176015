//! When a certificate ends: the one thing that is needed of it and that the verifier does not tell.
//!
//! ```text
//! Certificate    ::= SEQUENCE { tbsCertificate, … }                                    RFC 5280, section 4.1
//! TBSCertificate ::= SEQUENCE { [0] version OPTIONAL, serial INTEGER, signature SEQUENCE, issuer SEQUENCE,
//!                               validity SEQUENCE { notBefore Time, notAfter Time }, … }
//! Time           ::= UTCTime "YYMMDDHHMMSSZ" | GeneralizedTime "YYYYMMDDHHMMSSZ"
//! ```

use loglake_model::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the certificate `der` ends, ns UTC since the epoch; the last that can be said for one past 2262. `None` when it has not a
/// certificate's shape.
pub(crate) fn not_after_ns(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = any(rest)?.2;
    }
    for _ in ["serial", "signature", "issuer"] {
        rest = any(rest)?.2;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (tag, text, _) = any(any(validity)?.2)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        // Two digits stand for 1950 to 2049.
        (UTC_TIME, 12) => {
            (if &text[..2] < "50" { format!("20{}", &text[..2]) } else { format!("19{}", &text[..2]) }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (text[..4].to_owned(), &text[4..]),
        _ => return None,
    };
    if year.as_str() >= "2262" {
        return Some(i64::MAX);
    }
    let at = |from: usize| &rest[from..from + 2];
    let text = format!("{year}-{}-{}T{}:{}:{}Z", at(0), at(2), at(4), at(6), at(8));
    Timestamp::parse(&text).ok().map(|moment| moment.0)
}

/// The contents of the first element of `bytes`, which must have `tag`, and what comes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    any(bytes).filter(|(found, _, _)| *found == tag).map(|(_, contents, rest)| (contents, rest))
}

/// The tag and the contents of the first element of `bytes`, and what comes after it.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The length's own length; a certificate has less than 4 GiB.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(year: i32) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(1999, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 2, 3);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        let at = |text: &str| Some(Timestamp::parse(text).unwrap().0);
        assert_eq!(not_after_ns(&ending(2030)), at("2030-02-03T00:00:00Z"));
        assert_eq!(not_after_ns(&ending(2049)), at("2049-02-03T00:00:00Z"));
        assert_eq!(not_after_ns(&ending(2050)), at("2050-02-03T00:00:00Z"));
        assert_eq!(not_after_ns(&ending(4096)), Some(i64::MAX));
    }

    #[test]
    fn what_is_cut_or_altered_does_not_panic() {
        let whole = ending(2030);
        for length in 0..whole.len() {
            assert_eq!(not_after_ns(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x17, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut altered = whole.clone();
                altered[at] = byte;
                let _read = not_after_ns(&altered);
            }
        }
    }
}
