use std::ops::Range;

use loglake_model::limits;

use super::scan::Scan;

/// The attributes of a record as they will stand in its line, gathered from wherever they stood.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) keys: Vec<(u32, u32)>,
    pub(super) gathered: Gathered,
}

/// What was gathered so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    out: Vec<u8>,
    /// The last members as far as they stand together, where they stand: not in `out` yet.
    run: Range<usize>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.run = 0..0;
    }

    /// Reads an object of attributes, which begins here, blanks between its members or not.
    pub(super) fn object(&mut self, scan: &mut Scan<'_, '_>) -> Option<()> {
        if !scan.take(b'{') {
            return None;
        }
        scan.skip_blanks();
        if scan.take(b'}') {
            return Some(());
        }
        loop {
            scan.skip_blanks();
            let start = scan.at;
            scan.text()?;
            let key_end = scan.at;
            scan.skip_blanks();
            if !scan.take(b':') {
                return None;
            }
            scan.skip_blanks();
            self.member(scan, start..key_end)?;
            scan.skip_blanks();
            if scan.take(b'}') {
                return Some(());
            }
            if !scan.take(b',') {
                return None;
            }
        }
    }

    /// Reads the value, which begins here, of the attribute whose key stands at `place`, quotes included.
    pub(super) fn member(&mut self, scan: &mut Scan<'_, '_>, place: Range<usize>) -> Option<()> {
        scan.note(place.start + 1..place.end - 1, 0)?;
        let value_from = scan.at;
        scan.value(limits::DEPTH)?;
        if value_from != place.end + 1 {
            // Blanks go.
            self.flush(scan.bytes);
            self.comma();
            self.out.extend_from_slice(&scan.bytes[place]);
            self.out.push(b':');
            self.out.extend_from_slice(&scan.bytes[value_from..scan.at]);
        } else if !self.run.is_empty() && place.start == self.run.end + 1 {
            // Nothing but the comma stands between.
            self.run.end = scan.at;
        } else {
            self.flush(scan.bytes);
            self.run = place.start..scan.at;
        }
        Some(())
    }

    fn comma(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b',');
        }
    }

    fn flush(&mut self, bytes: &[u8]) {
        if !self.run.is_empty() {
            self.comma();
            self.out.extend_from_slice(&bytes[self.run.clone()]);
            self.run = 0..0;
        }
    }

    /// All of it; nothing is copied where they stood together.
    pub(super) fn finish<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.out.is_empty() {
            return &bytes[self.run.clone()];
        }
        self.flush(bytes);
        &self.out
    }
}
