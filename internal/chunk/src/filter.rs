//! The pair of filters of a block or of a chunk, as it is stored.

use std::ops::Range;

use crate::fuse::{self, Shape};
use crate::text_filter::{self, GramMap};
use crate::{Probe, hash};

const HEADER_BYTES: usize = 16;
const NO_TRACES: u8 = 0;
const FUSE: u8 = 1;
const ANY_TRACE: u8 = 2;

/// Memory that serves filter after filter.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    words: Vec<u64>,
    fuse: fuse::Scratch,
}

/// Appends the pair for the grams of `map` and the trace keys `traces` (sorted, distinct).
pub(crate) fn encode(map: &GramMap, traces: &[u64], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Scratch { words, fuse } = scratch;
    let (kind, fuse) = match traces {
        [] => (NO_TRACES, None),
        keys => fuse::build(keys, fuse).map_or((ANY_TRACE, None), |fuse| (FUSE, Some(fuse))),
    };
    let (segment_log2, segments, seed) =
        fuse.as_ref().map_or((0, 0, 0), |(shape, _)| (shape.segment_log2, shape.segments, shape.seed));
    let start = out.len();
    out.extend_from_slice(&[0, kind, segment_log2, 0]);
    out.extend_from_slice(&segments.to_le_bytes());
    out.extend_from_slice(&seed.to_le_bytes());
    out[start] = map.fold_into(words, out);
    if let Some((_, fingerprints)) = fuse {
        out.extend_from_slice(fingerprints);
    }
}

/// A pair of filters within its section, read and checked once.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    text: Range<usize>,
    traces: Traces,
}

#[derive(Clone, Debug)]
enum Traces {
    None,
    Any,
    Fuse(Shape, Range<usize>),
}

impl Filter {
    /// Reads the pair that fills `range` of `section`.
    pub(crate) fn read(section: &[u8], range: Range<usize>) -> Result<Self, &'static str> {
        let bytes = section.get(range.clone()).ok_or("a filter lies outside its section")?;
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or("a filter is cut short")?;
        let [log2, kind, segment_log2, zero, s0, s1, s2, s3, seed @ ..] = *header;
        let segments = u32::from_le_bytes([s0, s1, s2, s3]);
        let seed = u64::from_le_bytes(seed);
        if zero != 0 || !(text_filter::MIN_LOG2..=hash::MAX_INDEX_LOG2).contains(&u32::from(log2)) {
            return Err("a text filter has an impossible size");
        }
        let text_bytes = 1_usize << (log2 - 3);
        if rest.len() < text_bytes {
            return Err("a text filter is cut short");
        }
        let text_from = range.start + HEADER_BYTES;
        let text = text_from..text_from + text_bytes;
        let fingerprints = text.end..range.end;
        let traces = match kind {
            NO_TRACES if fingerprints.is_empty() => Traces::None,
            ANY_TRACE if fingerprints.is_empty() => Traces::Any,
            FUSE => {
                let shape = Shape { seed, segment_log2, segments };
                let possible = (2..=fuse::MAX_SEGMENT_LOG2).contains(&segment_log2) && segments > 0;
                if !possible || shape.slots() != fingerprints.len() as u64 {
                    return Err("a trace filter has an impossible size");
                }
                Traces::Fuse(shape, fingerprints)
            }
            _ => return Err("a trace filter is of an unknown kind"),
        };
        Ok(Self { text, traces })
    }

    /// Whether what this filter was made of may hold what `probe` looks for.
    pub(crate) fn may_match(&self, section: &[u8], probe: &Probe) -> bool {
        let traces = probe.trace_key().is_none_or(|key| match &self.traces {
            Traces::None => false,
            Traces::Any => true,
            Traces::Fuse(shape, range) => {
                section.get(range.clone()).is_none_or(|fingerprints| shape.may_hold(fingerprints, key))
            }
        });
        traces
            && section.get(self.text.clone()).is_none_or(|bits| {
                let holds_one = |texts: &Vec<Vec<u32>>| texts.iter().any(|grams| text_filter::holds_all(bits, grams));
                text_filter::holds_all(bits, probe.grams()) && probe.choices().iter().all(holds_one)
            })
    }
}
