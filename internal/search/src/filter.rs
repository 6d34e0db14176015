use loglake_model::Service;
use serde::{Deserialize, Serialize};

use crate::{Error, FieldFilter, LevelSet, Matcher};

/// What is asked of a record. Every condition that is given must hold; the default asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Only these services; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Only these levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<LevelSet>,
    /// Texts that the message must contain, each of them, case-sensitive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// The same, whatever the case of ASCII letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub icontains: Vec<String>,
    /// A regular expression (syntax of the `regex` crate) that must match somewhere in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The trace. 32 hexadecimal digits are compared in lower case, anything else byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Conditions on named fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldFilter>,
}

impl Filter {
    /// Prepares the filter for looking at lines.
    ///
    /// # Errors
    /// `Invalid` for a list or text over its limit, a regular expression that does not compile or would be too large, and
    /// for a field's value that does not fit its `op`.
    pub fn compile(&self) -> Result<Matcher, Error> {
        Matcher::new(self)
    }

    /// Bytes that are equal for filters that ask the same, whatever the order and repetition in their lists.
    #[must_use]
    pub fn fingerprint_bytes(&self) -> Vec<u8> {
        let mut same = self.clone();
        sort_out(&mut same.services);
        sort_out(&mut same.contains);
        same.icontains.iter_mut().for_each(|text| text.make_ascii_lowercase());
        sort_out(&mut same.icontains);
        same.trace_id = same.trace_id.map(normal_trace_id);
        same.fields.sort_by_cached_key(|field| serde_json::to_string(field).unwrap_or_default());
        same.fields.dedup();
        // Lists, texts and JSON values: nothing in it can fail to be written.
        serde_json::to_vec(&same).unwrap_or_default()
    }
}

fn sort_out<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}

/// A trace id as lines carry it.
pub(crate) fn normal_trace_id(mut id: String) -> String {
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        id.make_ascii_lowercase();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Filter {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn filters_that_ask_the_same_have_one_fingerprint() {
        let one = filter(
            r#"{"services":["b","a"],"contains":["x","y","x"],"icontains":["Ab"],"trace_id":"0AF7651916CD43DD8448EB211C80319C"}"#,
        );
        let same = filter(
            r#"{"services":["a","b"],"contains":["y","x"],"icontains":["aB"],"trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
        );
        assert_eq!(one.fingerprint_bytes(), same.fingerprint_bytes());
        assert_ne!(one.fingerprint_bytes(), filter(r#"{"services":["a"]}"#).fingerprint_bytes());
        assert_ne!(
            filter(r#"{"contains":["a"]}"#).fingerprint_bytes(),
            filter(r#"{"icontains":["a"]}"#).fingerprint_bytes()
        );
    }

    #[test]
    fn filters_travel_as_json() {
        let whole = filter(
            r#"{"services":["a"],"levels":["unknown","error"],"contains":["x"],"regex":"y+","fields":[{"name":"n","op":"gte","value":3}]}"#,
        );
        assert_eq!(serde_json::from_slice::<Filter>(&serde_json::to_vec(&whole).unwrap()).unwrap(), whole);
        assert_eq!(serde_json::to_string(&Filter::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Filter>(r#"{"contain":["x"]}"#).is_err());
    }
}
