/// `text` for a terminal: what could move its cursor, change its colours or turn its letters around is shown and not done.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(c, '\u{2028}' | '\u{2029}');
        match c {
            '\t' => out.push(c),
            c if c.is_control() || turns || breaks => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(line("a\tb ä 日"), "a\tb ä 日");
        assert_eq!(line("\u{1b}[2Jx\r\n\u{9b}\u{202e}\u{2028}"), r"\u{1b}[2Jx\u{d}\u{a}\u{9b}\u{202e}\u{2028}");
    }
}
