use crate::{MAX_PROBE_GRAMS, hash};

/// What a query looks for, hashed once and tested against many filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    grams: Vec<u32>,
    /// Of each list the grams of at least one text.
    choices: Vec<Vec<Vec<u32>>>,
    trace: Option<u64>,
}

impl Probe {
    /// The shortest needle that prunes, in bytes.
    pub const MIN_NEEDLE_BYTES: usize = hash::GRAM_BYTES;

    /// Makes a probe for records in which each of `texts` occurs, as a substring whatever the case of its ASCII letters, in
    /// the message or in some attribute's value, and whose trace id is `trace_id`, if given.
    ///
    /// `texts` are plain bytes, not escaped for JSON; one of fewer than [`Probe::MIN_NEEDLE_BYTES`] bytes prunes nothing.
    /// What counts as a value, and how numbers are found, is in the crate's documentation. `trace_id` is compared byte for
    /// byte: lower-case W3C ids first, as ingestion does.
    #[must_use]
    pub fn new(texts: &[&[u8]], trace_id: Option<&[u8]>) -> Self {
        let mut grams = Vec::new();
        for text in texts {
            // Longer needles are tested by their beginning.
            let text = &text[..text.len().min(MAX_PROBE_GRAMS)];
            hash::grams(text, |index| grams.push(index));
        }
        grams.sort_unstable();
        grams.dedup();
        grams.truncate(MAX_PROBE_GRAMS);
        Self { grams, choices: Vec::new(), trace: trace_id.map(hash::trace_key) }
    }

    /// The same probe for records that moreover have, of each list of `choices`, at least one text in their message or one of
    /// their attributes' values, whatever the case of ASCII letters. A list with a text of fewer than
    /// [`Probe::MIN_NEEDLE_BYTES`] bytes prunes nothing.
    #[must_use]
    pub fn and_any_of(mut self, choices: &[Vec<Vec<u8>>]) -> Self {
        for choice in choices {
            if choice.iter().any(|text| text.len() < Self::MIN_NEEDLE_BYTES) {
                continue;
            }
            match choice.as_slice() {
                [] => {}
                [text] => self.grams.extend(Self::new(&[text], None).grams),
                texts => self.choices.push(texts.iter().map(|text| Self::new(&[text], None).grams).collect()),
            }
        }
        self.grams.sort_unstable();
        self.grams.dedup();
        self.grams.truncate(MAX_PROBE_GRAMS);
        self
    }

    /// Whether it prunes nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.grams.is_empty() && self.choices.is_empty() && self.trace.is_none()
    }

    pub(crate) fn grams(&self) -> &[u32] {
        &self.grams
    }

    pub(crate) fn choices(&self) -> &[Vec<Vec<u32>>] {
        &self.choices
    }

    pub(crate) fn trace_key(&self) -> Option<u64> {
        self.trace
    }
}
