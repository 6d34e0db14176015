use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use memchr::{memchr_iter, memchr2_iter, memmem};

/// Bytes that a matching line holds for certain, looked for before anything is parsed.
#[derive(Clone, Debug)]
pub(crate) enum Needle {
    /// As they are.
    Exact(Box<memmem::Finder<'static>>),
    /// Whatever the case of ASCII letters.
    Folded(Folded),
    /// One of several, and how long the shortest is.
    Any(Box<AhoCorasick>, usize),
}

/// Bytes looked for whatever the case of ASCII letters: by their rarest byte, then whole.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    lower: Vec<u8>,
    rarest_at: usize,
}

impl Needle {
    pub(crate) fn exact(bytes: &[u8]) -> Self {
        Self::Exact(Box::new(memmem::Finder::new(bytes).into_owned()))
    }

    pub(crate) fn folded(bytes: &[u8]) -> Self {
        Self::Folded(Folded::new(bytes))
    }

    /// One of `texts`, whatever the case of ASCII letters if `is_folded`; `None` for none, or an empty one, or when they are
    /// too large to be looked for at once.
    pub(crate) fn any(texts: &[Vec<u8>], is_folded: bool) -> Option<Self> {
        let shortest = texts.iter().map(Vec::len).min().filter(|length| *length > 0)?;
        match texts {
            [text] if is_folded => Some(Self::folded(text)),
            [text] => Some(Self::exact(text)),
            texts => {
                let built = AhoCorasickBuilder::new().ascii_case_insensitive(is_folded).build(texts).ok()?;
                Some(Self::Any(Box::new(built), shortest))
            }
        }
    }

    /// Where it stands first in `text`.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(text),
            Self::Folded(folded) => folded.find(text),
            Self::Any(any, _) => any.find(text).map(|found| found.start()),
        }
    }

    /// How much looking for it is worth: long and exact is best, and one is better than several.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Exact(finder) => finder.needle().len() * 2,
            Self::Folded(folded) => folded.lower.len(),
            Self::Any(_, shortest) => *shortest,
        }
    }
}

impl Folded {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let lower = bytes.to_ascii_lowercase();
        let rarest_at = (0..lower.len()).min_by_key(|at| commonness(lower[*at])).unwrap_or(0);
        Self { lower, rarest_at }
    }

    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let Some(&rarest) = self.lower.get(self.rarest_at) else { return Some(0) };
        let whole = |at: usize| {
            let start = at.checked_sub(self.rarest_at)?;
            let found = text.get(start..start + self.lower.len())?;
            found.eq_ignore_ascii_case(&self.lower).then_some(start)
        };
        let upper = rarest.to_ascii_uppercase();
        if upper == rarest {
            memchr_iter(rarest, text).find_map(whole)
        } else {
            memchr2_iter(rarest, upper, text).find_map(whole)
        }
    }
}

/// How common a byte is in logs, roughly; lower is rarer.
fn commonness(byte: u8) -> u8 {
    match byte {
        b'"' | b' ' => 10,
        b'e' | b't' | b'a' | b'i' | b'o' | b'n' | b's' | b'r' => 9,
        b'0' | b'1' | b'2' | b'd' | b'l' | b'c' | b'm' | b':' | b',' | b'_' => 8,
        b'3'..=b'9' | b'-' | b'.' | b'/' => 7,
        b'u' | b'p' | b'f' | b'g' | b'h' | b'b' | b'v' => 6,
        b'j' | b'q' | b'x' | b'z' => 1,
        b'a'..=b'z' => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn folded_needles_are_found_where_a_plain_search_finds_them(text in "[aAbBxX.\u{e4}]{0,30}", needle in "[aAbBxX.]{0,4}") {
            let naive = text.to_ascii_lowercase().find(&needle.to_ascii_lowercase());
            prop_assert_eq!(Needle::folded(needle.as_bytes()).find(text.as_bytes()), naive);
        }

        #[test]
        fn one_of_several_is_found_where_a_plain_search_finds_one(
            text in "[abAB\u{e4}]{0,30}", needles in proptest::collection::vec("[abAB\u{e4}]{1,4}", 1..5), is_folded: bool,
        ) {
            let fold = |text: &str| if is_folded { text.to_ascii_lowercase() } else { text.to_owned() };
            let is_there = needles.iter().any(|needle| fold(&text).contains(&fold(needle)));
            let texts: Vec<Vec<u8>> = needles.iter().map(|needle| needle.clone().into_bytes()).collect();
            let found = Needle::any(&texts, is_folded).unwrap().find(text.as_bytes());
            prop_assert_eq!(found.is_some(), is_there);
            if let Some(at) = found {
                prop_assert!(needles.iter().any(|needle| fold(&text[at..]).starts_with(&fold(needle))));
            }
        }
    }
}
