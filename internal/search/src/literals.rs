//! What every match of a regular expression must contain.
//!
//! A walk over the parsed expression finds *clauses*: lists of texts of which at least one stands in every match. A node that
//! matches a few texts only gives them all; those that follow each other are joined; where that would become too many, or a
//! node matches too much, the join ends and another begins. What is left out only finds less: nothing is ever missed.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The most texts of a clause.
const MAX_TEXTS: usize = 32;
/// The most bytes of one text.
const MAX_TEXT_BYTES: usize = 64;
/// The most clauses that are kept.
const MAX_CLAUSES: usize = 16;

/// Texts of which every match has at least one.
pub(crate) type Clause = Vec<Vec<u8>>;

/// How letters are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// As the expression has them.
    Kept,
    /// ASCII letters are lower-cased in the texts, and must be in what they are looked for in. (Other letters that the
    /// expression takes for the same, as the Kelvin sign for `k`, are texts of their own.)
    Lowered,
}

/// The clauses of an expression, none of them with an empty text; the best first: those whose shortest text is longest.
pub(crate) fn clauses(hir: &Hir, case: Case) -> Vec<Clause> {
    let Found { exact, mut clauses } = walk(hir, case);
    clauses.extend(exact);
    let mut clauses: Vec<Clause> = clauses.into_iter().filter_map(tidy).collect();
    clauses.sort_by_key(|clause| (std::cmp::Reverse(shortest(clause)), clause.len()));
    clauses.truncate(MAX_CLAUSES);
    clauses
}

/// How long the shortest text of a clause is, in bytes.
pub(crate) fn shortest(clause: &Clause) -> usize {
    clause.iter().map(Vec::len).min().unwrap_or(0)
}

/// What is known of a node.
#[derive(Debug, Default)]
struct Found {
    /// All texts that it matches; `None` when they are too many.
    exact: Option<Clause>,
    /// What its matches contain, where `exact` does not say it.
    clauses: Vec<Clause>,
}

impl Found {
    fn exactly(texts: Clause) -> Self {
        Self { exact: Some(texts), clauses: Vec::new() }
    }
}

/// Each text once; `None` for a clause that says nothing.
fn tidy(mut clause: Clause) -> Option<Clause> {
    clause.sort();
    clause.dedup();
    // Bytes that are no UTF-8 stand in no message.
    let is_useful = shortest(&clause) > 0 && clause.iter().all(|text| std::str::from_utf8(text).is_ok());
    is_useful.then_some(clause)
}

fn walk(hir: &Hir, case: Case) -> Found {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Found::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => {
            let mut text = literal.0.to_vec();
            if case == Case::Lowered {
                text.make_ascii_lowercase();
            }
            // Part of a long text stands in every match, too. (It is cut between letters: `tidy` looks.)
            let mut end = text.len().min(MAX_TEXT_BYTES);
            while end > 0 && std::str::from_utf8(&text[..end]).is_err() {
                end -= 1;
            }
            if end == text.len() {
                Found::exactly(vec![text])
            } else {
                text.truncate(end);
                Found { exact: None, clauses: vec![vec![text]] }
            }
        }
        HirKind::Class(class) => Found { exact: texts_of(class, case), clauses: Vec::new() },
        HirKind::Capture(capture) => walk(&capture.sub, case),
        HirKind::Repetition(repetition) => {
            let mut found = walk(&repetition.sub, case);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => found,
                (0, Some(1)) => {
                    let exact = found.exact.map(|mut texts| {
                        texts.push(Vec::new());
                        texts
                    });
                    Found { exact, clauses: Vec::new() }
                }
                (0, _) => Found::default(),
                _ => {
                    // Once at least.
                    found.clauses.extend(found.exact.take());
                    found
                }
            }
        }
        HirKind::Concat(parts) => concat(parts, case),
        HirKind::Alternation(parts) => alternation(parts, case),
    }
}

/// The one-letter texts of a class, if they are few.
fn texts_of(class: &Class, case: Case) -> Option<Clause> {
    let mut texts = Clause::new();
    let mut add = |letter: char| {
        let letter = if case == Case::Lowered { letter.to_ascii_lowercase() } else { letter };
        let text = letter.to_string().into_bytes();
        if !texts.contains(&text) {
            texts.push(text);
        }
        texts.len() <= MAX_TEXTS
    };
    let is_whole = match class {
        Class::Unicode(class) => {
            class.iter().all(|range| (range.start()..=range.end()).take(2 * MAX_TEXTS + 1).all(&mut add))
        }
        // Past ASCII a byte is no letter.
        Class::Bytes(class) => class
            .iter()
            .all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(|byte| add(char::from(byte)))),
    };
    is_whole.then_some(texts)
}

fn concat(parts: &[Hir], case: Case) -> Found {
    let mut clauses = Vec::new();
    // What the parts since the last gap match.
    let mut run: Clause = vec![Vec::new()];
    let mut has_gap = false;
    let mut flat = Vec::new();
    parts.iter().for_each(|part| flatten(part, &mut flat));
    for part in flat {
        let found = walk(part, case);
        clauses.extend(found.clauses);
        match found.exact {
            Some(texts)
                if run.len() * texts.len() <= MAX_TEXTS && longest(&run) + longest(&texts) <= MAX_TEXT_BYTES =>
            {
                run = run
                    .iter()
                    .flat_map(|start| texts.iter().map(move |end| [start.as_slice(), end].concat()))
                    .collect();
            }
            exact => {
                has_gap = true;
                clauses.push(std::mem::replace(&mut run, exact.unwrap_or_else(|| vec![Vec::new()])));
            }
        }
    }
    if has_gap {
        clauses.push(run);
        Found { exact: None, clauses }
    } else {
        Found { exact: Some(run), clauses }
    }
}

/// The parts of a concatenation, also where they stand in groups of their own.
fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(hir),
    }
}

fn longest(clause: &Clause) -> usize {
    clause.iter().map(Vec::len).max().unwrap_or(0)
}

fn alternation(parts: &[Hir], case: Case) -> Found {
    let found: Vec<Found> = parts.iter().map(|part| walk(part, case)).collect();
    let exact = found.iter().try_fold(Clause::new(), |mut all, one| {
        all.extend(one.exact.clone()?);
        (all.len() <= MAX_TEXTS).then_some(all)
    });
    if exact.is_some() {
        return Found { exact, clauses: Vec::new() };
    }
    // Of each branch the best that it has.
    let best = found.into_iter().try_fold(Clause::new(), |mut all, one| {
        let clauses = one.clauses.into_iter().chain(one.exact);
        all.extend(clauses.filter_map(tidy).max_by_key(shortest)?);
        (all.len() <= MAX_TEXTS).then_some(all)
    });
    Found { exact: None, clauses: best.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn texts(pattern: &str, case: Case) -> Vec<Vec<String>> {
        let hir = regex_syntax::parse(pattern).unwrap();
        let text = |text: Vec<u8>| String::from_utf8(text).unwrap();
        clauses(&hir, case).into_iter().map(|clause| clause.into_iter().map(text).collect()).collect()
    }

    #[test]
    fn what_must_occur_is_found() {
        use Case::{Kept, Lowered};
        assert_eq!(texts(r"Received block (blk_\d+) of size", Kept), [["Received block blk_"], [" of size"]]);
        assert_eq!(texts(r"^ERROR|FATAL$", Lowered), [["error", "fatal"]]);
        assert_eq!(texts(r"(?i)timeout", Lowered), [["timeout"]]);
        assert_eq!(texts(r"(?i)disk", Lowered), [["disk", "dis\u{212a}", "di\u{17f}k", "di\u{17f}\u{212a}"]]);
        assert_eq!(texts(r"gr[ae]y(ish)?", Kept), [["gray", "grayish", "grey", "greyish"]]);
        assert_eq!(texts(r"(connection|socket) (reset|closed) by \w+", Kept)[0].len(), 4);
        assert_eq!(texts(r"(ab|cd)+x?", Kept), [["ab", "cd"]]);
        assert!(texts(r"a*|.", Kept).is_empty());
        assert!(texts(r"(abcde|.*)x?", Kept).is_empty());
        assert!(texts(r"\w+", Lowered).is_empty());
    }

    /// An expression over few letters, some of which fold to others.
    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[abksAK\u{212a}\u{17f}\u{e9}]{1,4}",
            Just("[ak]".to_owned()),
            Just("[^b]".to_owned()),
            Just(".".to_owned()),
            Just(r"\w".to_owned()),
            Just("^".to_owned()),
            Just(r"\b".to_owned()),
            Just(String::new()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
                (inner.clone(), proptest::sample::select(vec!["*", "+", "?", "{2}", "{0}", "{1,3}"]))
                    .prop_map(|(part, times)| format!("(?:{part}){times}")),
                inner.clone().prop_map(|part| format!("(?i:{part})")),
                inner.prop_map(|part| format!("({part})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_match_has_a_text_of_every_clause(pattern in pattern(), texts in proptest::collection::vec("[abksABKS\u{212a}\u{17f}\u{e9}]{0,10}", 8)) {
            let regex = Regex::new(&pattern).unwrap();
            let hir = regex_syntax::parse(&pattern).unwrap();
            let holds = |text: &str, clause: &Clause| clause.iter().any(|one| text.contains(std::str::from_utf8(one).unwrap()));
            for text in texts.iter().filter(|text| regex.is_match(text)) {
                let lowered = text.to_ascii_lowercase();
                prop_assert!(clauses(&hir, Case::Kept).iter().all(|clause| holds(text, clause)), "{pattern} {text}");
                prop_assert!(clauses(&hir, Case::Lowered).iter().all(|clause| holds(&lowered, clause)), "{pattern} {text}");
            }
        }
    }
}
