use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Html;

/// The page at `/`: what this is, until there is a user interface.
pub(super) async fn home() -> ([(HeaderName, &'static str); 2], Html<String>) {
    let headers = [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(PAGE.replace("{version}", &escaped(env!("CARGO_PKG_VERSION")))))
}

/// `text` for the inside of an element or of a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loglake</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #1c2430; background: #fbfcfd }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; background: #eef2f6; border-radius: 4px }
code { padding: .1em .3em } pre { padding: .8rem 1rem; overflow-x: auto }
td { padding: .15rem 1rem .15rem 0; vertical-align: top } small { color: #5a6675 }
@media (prefers-color-scheme: dark) { body { color: #dde3ea; background: #12171d } code, pre { background: #1e2630 } small { color: #93a1b1 } }
</style>
</head>
<body>
<h1>Loglake</h1>
<p>This is the query service of a log lake: logs rest as gzip NDJSON in object storage, and are searched from here.</p>
<table>
<tr><td><code>POST /v1/query</code></td><td>search records, page by page</td></tr>
<tr><td><code>POST /v1/aggregate</code></td><td>count records by time, level and service</td></tr>
<tr><td><code>GET /v1/services</code></td><td>which services there are, and how many records each has</td></tr>
<tr><td><code>GET /health</code></td><td>the process runs</td></tr>
<tr><td><code>GET /ready</code></td><td>every role in the process can serve</td></tr>
</table>
<p>The newest errors that mention a time-out:</p>
<pre>curl -s "$LOGLAKE/v1/query" -H 'Content-Type: application/json' \
  -d '{"level":"error","icontains":"timeout","limit":20}'</pre>
<p>Send the same body with <code>"cursor"</code> set to the answer's <code>next_cursor</code> for the next page, until it is
<code>null</code>. Where credentials are configured, add <code>Authorization: Bearer &lt;token&gt;</code>.</p>
<small>version {version}</small>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_let_through_unescaped() {
        assert_eq!(escaped(r#"<a b="c">&'"#), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    }
}
