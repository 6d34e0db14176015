//! The body of `POST /v1/aggregate`, read and checked.

use loglake_model::{Fault, FaultCode, TenantId, TimeRange};
use loglake_search::{Filter, Steps};
use serde_json::Value;

use super::Counting;
use crate::Error;
use crate::conditions::{Conditions, invalid, one_or_list, text};

/// The keys beside those of [`Conditions`].
const KEYS: [&str; 2] = ["step", "group_by"];
/// What records can be grouped by.
const GROUPS: [&str; 2] = ["level", "service"];
/// The most steps that a range may have; as many points a series are Prometheus' and Loki's limit, too.
const MAX_STEPS: u64 = 11_000;
/// The units of a step, longest first, in ns.
const UNITS: [(&str, i64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// What a body asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) tenant_id: Option<String>,
    filter: Filter,
    range: TimeRange,
    steps: Steps,
    by_level: bool,
    by_service: bool,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// A fault that names the key, and for broken JSON the line and column.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let (mut steps, mut groups) = (Steps::ONE, [false; GROUPS.len()]);
        let mut conditions = Conditions::parse(body, &KEYS, |name, value| {
            match name {
                "step" => steps = step(name, value)?,
                _ => groups = group_by(name, value)?,
            }
            Ok(())
        })?;
        let (range, is_bounded) = (conditions.range()?, conditions.is_bounded());
        if is_bounded && steps != Steps::ONE && !range.is_empty() {
            let last_ns = range.end_ns().saturating_sub(1);
            let between = steps.start_of(last_ns).abs_diff(steps.start_of(range.start_ns()));
            let count = between / steps.length_ns().unsigned_abs() + 1;
            if count > MAX_STEPS {
                let message = format!("the range has {count} steps, {MAX_STEPS} are allowed: take a longer step");
                return Err(Fault::new(FaultCode::TooMany, "step", message).with_limit(MAX_STEPS, count));
            }
        }
        let tenant_id = conditions.tenant_id.take();
        let [by_level, by_service] = groups;
        Ok(Self { tenant_id, filter: conditions.into_filter(), range, steps, by_level, by_service })
    }

    /// The same for `tenant`, prepared.
    ///
    /// # Errors
    /// `Invalid` for a filter that cannot be used.
    pub(super) fn counting(self, tenant: TenantId) -> Result<Counting, Error> {
        let Self { filter, range, steps, by_level, by_service, .. } = self;
        let matcher = filter.compile()?.for_any_service();
        Ok(Counting { tenant, filter, matcher, range, steps, by_level, by_service })
    }
}

/// Reads `"5m"`, `"1h30m"`, `"250ms"`: whole numbers with units, longest first.
fn step(name: &str, value: &Value) -> Result<Steps, Fault> {
    let right = "step is a span of time such as \"30s\", \"5m\" or \"1h30m\": whole numbers of d, h, m, s and ms, longest first";
    let wrong = || invalid(name, right);
    let mut rest = text(name, value)?;
    let (mut total, mut units) = (0_i64, UNITS.as_slice());
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let (unit, after) = after.split_at(after.bytes().take_while(u8::is_ascii_alphabetic).count());
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: i64 = number.parse().map_err(|_| wrong())?;
        total = number.checked_mul(units[at].1).and_then(|ns| total.checked_add(ns)).ok_or_else(wrong)?;
        (units, rest) = (&units[at + 1..], after);
    }
    Steps::of(total).ok_or_else(wrong)
}

/// Reads a name or a list of names; tells for each of [`GROUPS`] whether it is there.
fn group_by(name: &str, value: &Value) -> Result<[bool; GROUPS.len()], Fault> {
    let mut groups = [false; GROUPS.len()];
    for item in one_or_list(name, value, GROUPS.len())? {
        let group = text(name, item)?;
        let wrong = || invalid(name, format!("group_by takes {}, each once", GROUPS.join(" and ")));
        let at = GROUPS.iter().position(|known| *known == group).filter(|at| !groups[*at]).ok_or_else(wrong)?;
        groups[at] = true;
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Request, Fault> {
        Request::parse(body.as_bytes())
    }

    #[test]
    fn a_whole_body_is_read() {
        let request = parse(
            r#"{"service":"a","from_ts":1700000000000,"to_ts":1700000600000,"level":"error","step":"1h30m","group_by":["service","level"]}"#,
        )
        .unwrap();
        assert_eq!(request.steps.length_ns(), 5_400_000_000_000);
        assert!(request.by_level && request.by_service);
        let request = parse(r#"{"group_by":"level","step":null}"#).unwrap();
        assert!(request.by_level && !request.by_service && request.steps == Steps::ONE);
        for (text, ns) in [("250ms", 250_000_000), ("1d", 86_400_000_000_000), ("2m1ms", 120_001_000_000)] {
            assert_eq!(parse(&format!(r#"{{"step":"{text}"}}"#)).unwrap().steps.length_ns(), ns);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, field, code) in [
            (r#"{"limit":5}"#, "limit", FaultCode::UnknownField),
            (r#"{"cursor":"x"}"#, "cursor", FaultCode::UnknownField),
            (r#"{"step":""}"#, "step", FaultCode::Invalid),
            (r#"{"step":"0s"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"5"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"-5m"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"5 m"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"30m1h"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"1m1m"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"99999999d"}"#, "step", FaultCode::Invalid),
            (r#"{"step":"99999999999999999999s"}"#, "step", FaultCode::Invalid),
            (r#"{"step":300}"#, "step", FaultCode::Invalid),
            (r#"{"step":"5m","step":"5m"}"#, "step", FaultCode::DuplicateKey),
            (r#"{"group_by":"host"}"#, "group_by", FaultCode::Invalid),
            (r#"{"group_by":["level","level"]}"#, "group_by", FaultCode::Invalid),
            (r#"{"group_by":["level","service","level"]}"#, "group_by", FaultCode::TooMany),
            (r#"{"group_by":[1]}"#, "group_by", FaultCode::Invalid),
            (r#"{"from_ts":2000,"to_ts":1000}"#, "from_ts", FaultCode::Invalid),
            (r#"{"step":"1s","from_ts":1700000000,"to_ts":1700011001}"#, "step", FaultCode::TooMany),
        ] {
            let fault = parse(body).unwrap_err();
            assert_eq!((fault.field.as_str(), fault.code), (field, code), "{body}: {fault}");
        }
        assert!(parse(r#"{"step":"1s","from_ts":1700000000,"to_ts":1700011000}"#).is_ok(), "as many as are allowed");
    }
}
