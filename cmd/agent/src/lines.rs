use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Reads lines of bytes of bounded length, in constant memory whatever the input holds.
///
/// A line ends with LF or with the input; one CR before it is taken off. A UTF-8 byte order mark at the very start is taken
/// off too.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    max_bytes: usize,
    line: Vec<u8>,
    /// Bytes of the current line that did not fit.
    skipped: u64,
    number: u64,
    /// The line in `line` was handed out: the next read starts anew.
    is_stale: bool,
}

/// One line of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line's number, from 1, and its bytes without its end.
    Whole(u64, &'a [u8]),
    /// The line's number and length in bytes: it is longer than allowed and was passed over.
    TooLong(u64, u64),
}

impl<R: AsyncBufRead + Unpin> LineReader<R> {
    /// Makes a reader of lines of at most `max_bytes`.
    pub fn new(input: R, max_bytes: usize) -> Self {
        Self { input, max_bytes, line: Vec::new(), skipped: 0, number: 0, is_stale: false }
    }

    /// Reads the next line; `None` at the end. May be cancelled and called again: nothing is lost.
    ///
    /// # Errors
    /// What the input reports.
    pub async fn next(&mut self) -> std::io::Result<Option<Line<'_>>> {
        if std::mem::take(&mut self.is_stale) {
            self.line.clear();
            self.skipped = 0;
        }
        loop {
            let buffer = self.input.fill_buf().await?;
            if buffer.is_empty() {
                let has_rest = !self.line.is_empty() || self.skipped > 0;
                return Ok(if has_rest { Some(self.finish()) } else { None });
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            // One byte more than allowed is kept for the CR of a line of just the allowed length.
            let room = (self.max_bytes + 1).saturating_sub(self.line.len());
            let kept = if self.skipped > 0 { 0 } else { piece.len().min(room) };
            self.line.extend_from_slice(&piece[..kept]);
            self.skipped += (piece.len() - kept) as u64;
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Line<'_> {
        self.number += 1;
        self.is_stale = true;
        let mut bytes = self.line.as_slice();
        if self.skipped == 0 {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        if self.skipped > 0 || bytes.len() > self.max_bytes {
            return Line::TooLong(self.number, self.line.len() as u64 + self.skipped);
        }
        if self.number == 1 {
            bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        }
        Line::Whole(self.number, bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(input: &[u8], buffer_bytes: usize, max_bytes: usize) -> Vec<Result<Vec<u8>, u64>> {
        let run = async {
            let mut reader = LineReader::new(tokio::io::BufReader::with_capacity(buffer_bytes, input), max_bytes);
            let mut lines = Vec::new();
            while let Some(line) = reader.next().await.unwrap() {
                let at = lines.len() as u64 + 1;
                lines.push(match line {
                    Line::Whole(number, bytes) => {
                        assert_eq!(number, at);
                        Ok(bytes.to_vec())
                    }
                    Line::TooLong(number, length) => {
                        assert_eq!(number, at);
                        Err(length)
                    }
                });
            }
            lines
        };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run)
    }

    #[test]
    fn one_carriage_return_goes_and_long_lines_are_passed_over() {
        let input = b"\xef\xbb\xbfa\r\n\n\r\r\nabcd\r\nabcde\nlast";
        let want: Vec<Result<Vec<u8>, u64>> =
            vec![Ok(b"a".into()), Ok(b"".into()), Ok(b"\r".into()), Ok(b"abcd".into()), Err(5), Ok(b"last".into())];
        for buffer_bytes in [1, 2, 3, 64] {
            assert_eq!(read(input, buffer_bytes, 4), want);
        }
    }

    proptest! {
        #[test]
        fn lines_are_what_splitting_gives(input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..200),
                                          buffer_bytes in 1_usize..20) {
            let mut want: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n')
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect();
            if input.is_empty() || input.ends_with(b"\n") {
                want.pop();
            }
            let got: Vec<Vec<u8>> = read(&input, buffer_bytes, 1_000).into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(got, want);
        }
    }
}
