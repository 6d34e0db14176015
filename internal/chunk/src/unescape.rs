//! Undoes the escapes of a JSON string. Canonical lines use few of them; all are understood.

/// Appends the value of `raw` (what stands between the quotes) to `out`. `None` for an escape that is not one.
pub(crate) fn unescape_into(out: &mut Vec<u8>, raw: &[u8]) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        let plain = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = hex4(&mut rest)?;
                if (0xd800..0xdc00).contains(&code) {
                    rest = rest.strip_prefix(b"\\u")?;
                    let low = hex4(&mut rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low;
                }
                let mut utf8 = [0; 4];
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
                continue;
            }
            _ => return None,
        };
        out.push(plain);
    }
    out.extend_from_slice(rest);
    Some(())
}

fn hex4(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(raw: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        unescape_into(&mut out, raw).map(|()| out)
    }

    proptest! {
        #[test]
        fn agrees_with_a_json_library(raw in r#"([a-c]|é|\\["\\/bfnrtux]|\\u[0-9a-fA-F]{4}|\\ud8[0-9a-f]{2}\\udc[0-9a-f]{2}){0,12}"#) {
            let library: Option<String> = serde_json::from_str(&format!("\"{raw}\"")).ok();
            prop_assert_eq!(unescaped(raw.as_bytes()), library.map(String::into_bytes));
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bad in ["\\", "\\u12", "\\ud800", "\\ud800\\u0041", "\\udc00"] {
            assert_eq!(unescaped(bad.as_bytes()), None, "{bad}");
        }
    }
}
