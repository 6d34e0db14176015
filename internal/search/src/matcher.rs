use loglake_model::{Level, Service, line};
use memchr::memmem;
use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use crate::filter::normal_trace_id;
use crate::limits::{
    MAX_FIELDS, MAX_NEEDLE_BYTES, MAX_NEEDLES, MAX_REGEX_BYTES, MAX_SERVICES, MAX_TRACE_ID_BYTES, REGEX_CACHE,
    REGEX_NESTING, REGEX_SIZE,
};
use crate::literals::{Case, clauses, shortest};
use crate::needle::{Folded, Needle};
use crate::view::View;
use crate::{Error, FieldFilter, Filter, LevelSet};

/// A text of a regular expression that is shorter is looked for only if there is no other.
const MIN_AHEAD_BYTES: usize = 3;

/// A [`Filter`], prepared for looking at lines. Cheap to share between threads, not to make.
#[derive(Clone, Debug)]
pub struct Matcher {
    services: Vec<Service>,
    escaped_services: Vec<Vec<u8>>,
    levels: Option<LevelSet>,
    contains: Vec<memmem::Finder<'static>>,
    icontains: Vec<Folded>,
    regex: Option<Regex>,
    trace_id: Option<String>,
    escaped_trace_id: Option<Vec<u8>>,
    fields: Vec<FieldFilter>,
    texts: Vec<Vec<u8>>,
    clauses: Vec<Vec<Vec<u8>>>,
    /// What to look for in raw bytes before a line is looked at.
    pub(crate) ahead: Option<Needle>,
}

impl Matcher {
    pub(crate) fn new(filter: &Filter) -> Result<Self, Error> {
        let few =
            |field, limit, actual| if actual > limit { Err(Error::TooMany { field, limit, actual }) } else { Ok(()) };
        few("services", MAX_SERVICES, filter.services.len())?;
        few("contains", MAX_NEEDLES, filter.contains.len())?;
        few("icontains", MAX_NEEDLES, filter.icontains.len())?;
        few("fields", MAX_FIELDS, filter.fields.len())?;
        let short = |field: &str, limit, actual| {
            if actual > limit { Err(Error::TooLong { field: field.to_owned(), limit, actual }) } else { Ok(()) }
        };
        filter.contains.iter().try_for_each(|text| short("contains", MAX_NEEDLE_BYTES, text.len()))?;
        filter.icontains.iter().try_for_each(|text| short("icontains", MAX_NEEDLE_BYTES, text.len()))?;
        short("regex", MAX_REGEX_BYTES, filter.regex.as_ref().map_or(0, String::len))?;
        short("trace_id", MAX_TRACE_ID_BYTES, filter.trace_id.as_ref().map_or(0, String::len))?;
        if filter.trace_id.as_ref().is_some_and(String::is_empty) {
            let message = "a trace id is not empty; leave it out to find every trace".to_owned();
            return Err(Error::Invalid { field: "trace_id".to_owned(), message });
        }
        filter.fields.iter().enumerate().try_for_each(|(at, field)| field.check(at))?;

        // Every message contains the empty text.
        let contains: Vec<&String> = filter.contains.iter().filter(|text| !text.is_empty()).collect();
        let icontains: Vec<&String> = filter.icontains.iter().filter(|text| !text.is_empty()).collect();
        let trace_id = filter.trace_id.clone().map(normal_trace_id);
        let quoted = |text: &str| [b"\"".as_slice(), &line::escaped(text), b"\""].concat();
        let field_texts = filter.fields.iter().filter_map(FieldFilter::text);
        let regex = filter.regex.as_deref().map(CompiledRegex::new).transpose()?;
        let ahead = match &trace_id {
            Some(id) => Some(Needle::exact(&[b",\"trace_id\":".as_slice(), &quoted(id)].concat())),
            None => contains
                .iter()
                .map(|text| Needle::exact(&line::escaped(text)))
                .chain(field_texts.map(|text| Needle::exact(&quoted(text))))
                .chain(icontains.iter().map(|text| Needle::folded(&line::escaped(text))))
                .chain(regex.as_ref().and_then(|regex| regex.ahead.clone()))
                .max_by_key(Needle::weight)
                .or_else(|| filter.levels.and_then(LevelSet::only).map(level_needle)),
        };
        let field_texts = filter.fields.iter().filter_map(FieldFilter::attribute_text);
        let texts = contains.iter().chain(&icontains).map(|text| text.as_str()).chain(field_texts);
        Ok(Self {
            escaped_services: filter.services.iter().map(|service| line::escaped(service.as_str())).collect(),
            services: filter.services.clone(),
            levels: filter.levels,
            texts: texts.map(|text| text.as_bytes().to_vec()).collect(),
            contains: contains.iter().map(|text| memmem::Finder::new(text.as_bytes()).into_owned()).collect(),
            icontains: icontains.iter().map(|text| Folded::new(text.as_bytes())).collect(),
            clauses: regex.as_ref().map(|regex| regex.clauses.clone()).unwrap_or_default(),
            regex: regex.map(|regex| regex.regex),
            escaped_trace_id: trace_id.as_deref().map(line::escaped),
            trace_id,
            fields: filter.fields.clone(),
            ahead,
        })
    }

    /// Whether the record of a canonical `line`, with or without its id and without line feed, meets every condition.
    #[must_use]
    pub fn matches(&self, line: &[u8]) -> bool {
        if self.levels.is_some_and(|levels| !levels.contains(line::level_of(line))) {
            return false;
        }
        if !self.looks_inside() {
            return true;
        }
        let Some(view) = View::of(line) else { return false };
        if !self.escaped_services.is_empty() && !self.escaped_services.iter().any(|service| service == view.service) {
            return false;
        }
        if self.escaped_trace_id.as_deref().is_some_and(|wanted| view.trace_id() != Some(wanted)) {
            return false;
        }
        self.matches_message(&view) && self.matches_fields(line)
    }

    /// The first place in `bytes` where a line that matches may be: one that ends before it does not match. `None` when none does.
    /// `bytes` are canonical lines with anything between them.
    #[must_use]
    pub fn first_place(&self, bytes: &[u8]) -> Option<usize> {
        self.ahead.as_ref().map_or(Some(0), |needle| needle.find(bytes))
    }

    /// Whether a line's level does not decide alone. (The service does not either, unless [`Matcher::for_any_service`].)
    #[must_use]
    pub fn looks_inside(&self) -> bool {
        !self.services.is_empty() || self.trace_id.is_some() || self.reads_message() || !self.fields.is_empty()
    }

    fn reads_message(&self) -> bool {
        !self.contains.is_empty() || !self.icontains.is_empty() || self.regex.is_some()
    }

    /// On the decoded text: an escaped needle may begin in the middle of an escape (`n` in `\n`).
    fn matches_message(&self, view: &View<'_>) -> bool {
        if !self.reads_message() {
            return true;
        }
        let Some(message) = view.message() else { return false };
        self.contains.iter().all(|finder| finder.find(message.as_bytes()).is_some())
            && self.icontains.iter().all(|folded| folded.find(message.as_bytes()).is_some())
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(&message))
    }

    fn matches_fields(&self, line: &[u8]) -> bool {
        self.fields.is_empty()
            || std::str::from_utf8(line).is_ok_and(|line| self.fields.iter().all(|field| field.matches(line)))
    }

    /// The same, but for records of any service: for those who have chosen by service already.
    #[must_use]
    pub fn for_any_service(mut self) -> Self {
        self.services.clear();
        self.escaped_services.clear();
        self
    }

    /// Decoded texts of which every one occurs, whatever the case of ASCII letters, in the message or an attribute's value
    /// of every matching record: what a text filter is asked for.
    #[must_use]
    pub fn text_needles(&self) -> &[Vec<u8>] {
        &self.texts
    }

    /// Lists of decoded texts, in lower case as far as ASCII goes: of each list at least one text occurs in the message of every
    /// matching record, once that is lower-cased the same way. What a text filter is asked for besides.
    #[must_use]
    pub fn text_clauses(&self) -> &[Vec<Vec<u8>>] {
        &self.clauses
    }

    /// The trace asked for, as lines carry it.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// The levels asked for; `None` for all.
    #[must_use]
    pub fn level_slots(&self) -> Option<LevelSet> {
        self.levels
    }

    /// The services asked for; empty for all.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

/// What a line of `level` holds around the level's name. (So may an attribute: lines that were found are looked at whole.)
fn level_needle(level: Level) -> Needle {
    Needle::exact(format!("\",\"level\":\"{level}\",\"service\":\"").as_bytes())
}

/// A regular expression, and what its matches contain.
struct CompiledRegex {
    regex: Regex,
    /// See [`Matcher::text_clauses`].
    clauses: Vec<Vec<Vec<u8>>>,
    /// What every line with a match holds.
    ahead: Option<Needle>,
}

impl CompiledRegex {
    fn new(pattern: &str) -> Result<Self, Error> {
        let regex = compile_regex(pattern)?;
        // It compiled, with the same settings.
        let Ok(hir) = ParserBuilder::new().nest_limit(REGEX_NESTING).build().parse(pattern) else {
            return Ok(Self { regex, clauses: Vec::new(), ahead: None });
        };
        let (kept, lowered) = (clauses(&hir, Case::Kept), clauses(&hir, Case::Lowered));
        // The letters as they are are found faster; short texts are in every other line.
        let kept = kept.first().filter(|clause| shortest(clause) >= MIN_AHEAD_BYTES);
        let (best, is_folded) = (kept.or(lowered.first()), kept.is_none());
        let ahead = best.and_then(|clause| {
            let escaped = |text: &Vec<u8>| std::str::from_utf8(text).ok().map(line::escaped);
            Needle::any(&clause.iter().map(escaped).collect::<Option<Vec<_>>>()?, is_folded)
        });
        Ok(Self { regex, clauses: lowered, ahead })
    }
}

fn compile_regex(pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_CACHE)
        .nest_limit(REGEX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => Error::Regex(format!(
                "the regular expression would take more than {limit} bytes when compiled; make it simpler"
            )),
            error => Error::Regex(error.to_string()),
        })
}
