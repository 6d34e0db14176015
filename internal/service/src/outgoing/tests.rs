use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn client(inside: &[&str]) -> Outgoing {
    let inside: Vec<String> = inside.iter().map(|host| (*host).to_owned()).collect();
    Outgoing::new(&inside, None).unwrap()
}

/// Answers one call after another with `answer`, on a loopback address.
async fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            if stream.read(&mut asked).await.is_ok() {
                let _gone = stream.write_all(answer).await;
                while stream.write_all(&[b'x'; 4096]).await.is_ok() && answer.ends_with(b"endless") {}
            }
        }
    });
    port
}

#[tokio::test]
async fn what_is_inside_is_refused_in_every_spelling() {
    let port = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let careful = client(&[]);
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.1.2.3",
        "0.0.0.0",
        "[fd00:ec2::254]",
    ] {
        let error = careful.get(&format!("https://{host}:{port}/keys")).await.unwrap_err();
        assert!(error.to_string().contains("is inside this network"), "{host}: {error}");
    }
    // What a resolver takes for 127.0.0.1, and no certificate has.
    for host in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1"] {
        careful.get(&format!("https://{host}:{port}/keys")).await.unwrap_err();
    }
    for url in [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "/keys",
        "https://a:b@example.com/",
        "https:///x",
        "http://localhost/",
    ] {
        assert_eq!(careful.get(url).await.unwrap_err().kind(), ErrorKind::Invalid, "{url}");
    }
}

#[tokio::test]
async fn a_host_that_the_operator_named_is_called() {
    let port = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    for host in ["127.0.0.1", "localhost"] {
        let answer = client(&[host]).get(&format!("http://{host}:{port}/keys")).await.unwrap();
        assert_eq!(answer, "{}");
        let other = client(&["10.0.0.1"]).get(&format!("http://{host}:{port}/keys")).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Invalid);
    }
    // What speaks no TLS is no https.
    let error = client(&["localhost"]).get(&format!("https://localhost:{port}/keys")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_answers_are_bounded() {
    let port = server(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n").await;
    let error = client(&["127.0.0.1"]).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(error.to_string().contains("302"), "{error}");
    let port = server(b"HTTP/1.1 200 OK\r\n\r\nendless").await;
    let error = client(&["127.0.0.1"]).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[test]
fn a_wrong_file_of_authorities_is_named() {
    for path in ["/nowhere/ca.pem", "/dev/null"] {
        let error = Outgoing::new(&[], Some(Path::new(path))).unwrap_err();
        assert!(error.to_string().starts_with(&format!("outgoing.ca_file: {path}: ")), "{error}");
    }
}
