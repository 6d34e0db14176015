use loglake_agent::Dice;

/// A line of text in which the parts that vary from record to record are known: runs of three digits or more, and hex ids.
#[derive(Clone, Debug)]
pub(crate) struct Line(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Digits(usize),
    Hex { digits: usize, is_upper: bool },
}

/// A run of hex digits this long that mixes digits and letters is an id.
const MIN_HEX: usize = 6;
const MIN_DIGITS: usize = 3;

impl Line {
    /// Finds what varies in `text`.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let mut plain = String::new();
        while !rest.is_empty() {
            let until = rest.find(|c: char| c.is_ascii_hexdigit()).unwrap_or(rest.len());
            plain.push_str(&rest[..until]);
            rest = &rest[until..];
            let hex = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let run = rest.get(..hex).unwrap_or_default();
            // A letter before or after (as in `feed`, `decade`) makes it a word, not an id.
            let is_whole = !plain.ends_with(|c: char| c.is_ascii_alphanumeric())
                && !rest[hex..].starts_with(|c: char| c.is_ascii_alphanumeric())
                || plain.ends_with("0x");
            let mixes = digits < hex && run.bytes().any(|byte| byte.is_ascii_digit());
            let (piece, length) = if hex >= MIN_HEX && is_whole && mixes {
                (Some(Piece::Hex { digits: hex, is_upper: run.bytes().any(|byte| byte.is_ascii_uppercase()) }), hex)
            } else if digits >= MIN_DIGITS {
                (Some(Piece::Digits(digits)), digits)
            } else {
                // One letter, or digits that are too few.
                (None, digits.max(hex.min(1)))
            };
            match piece {
                Some(piece) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(piece);
                }
                None => plain.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Self(pieces)
    }

    /// Takes `text` as a line in which nothing varies.
    pub(crate) fn verbatim(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// Writes the line with everything that varies drawn anew, at the same length.
    pub(crate) fn draw(&self, dice: &mut Dice, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Digits(count) => {
                    for at in 0..*count {
                        let digit = if at == 0 { dice.between(1, 9) } else { dice.below(10) };
                        out.push(char::from(b'0' + digit as u8));
                    }
                }
                Piece::Hex { digits, is_upper } => {
                    let from = out.len();
                    dice.hex(out, *digits);
                    if *is_upper {
                        out[from..].make_ascii_uppercase();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> String {
        let shown = Line::parse(text).0.into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Digits(count) => format!("<{count}>"),
            Piece::Hex { digits, is_upper } => format!("<{}{digits}>", if is_upper { 'X' } else { 'x' }),
        });
        shown.collect()
    }

    #[test]
    fn long_numbers_and_hex_ids_vary_and_words_stay() {
        let cases = [
            ("blk_38865049064139660 from 10.251.73.220:50010", "blk_<17> from 10.<3>.73.<3>:<5>"),
            ("AppWindowToken{9f4ef63 token=Token{a64f992", "AppWindowToken{<x7> token=Token{<x7>"),
            ("req-38101a0b-2096-447d-96ea-a692162415ae", "req-<x8>-<4>-<3>d-96ea-<x12>"),
            ("0x7fed806eb5d decade feed 12 deadbeef", "0x<x11> decade feed 12 deadbeef"),
            ("amd64_31bf3856AD364e35", "amd64_<X16>"),
            ("ünïcode 1234ü", "ünïcode <4>ü"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(pieces(text), want, "{text}");
        }
    }

    #[test]
    fn a_drawn_line_has_the_length_of_the_original_and_follows_the_seed() {
        let text = "a 12345 b9f4ef63 0 9f4ef63c 99";
        let draw = |seed| {
            let mut out = String::new();
            Line::parse(text).draw(&mut Dice::new(seed), &mut out);
            out
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).len(), text.len());
        assert!(draw(3).starts_with("a ") && draw(3).ends_with(" 99"));
    }
}
