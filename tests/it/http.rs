//! What an operator reads when nothing comes back over HTTP.

use breakglass::domain::time::Span;
use breakglass::http::{Http, HttpError, Limits, Request, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::idp::{Idp, Reply};
use crate::support::tls_server::TlsServer;

fn client(trust: &Trust) -> Http {
    Http::new(trust.clone(), Limits::default())
}

async fn refused(url: &str) -> String {
    client(&Trust::default()).send(Request::get(url)).await.unwrap_err().to_string()
}

/// What one who waits little is told; the port of the server is hidden.
async fn impatient(idp: &Idp, bytes_max: usize) -> String {
    let limits = Limits { total: Span::from_millis(300), bytes_max, ..Limits::default() };
    let http = Http::new(Trust::default(), limits);
    let url = format!("{}/x", idp.issuer);
    let said = http.send(Request::get(url)).await.unwrap_err().to_string();
    said.replace(&idp.issuer, "IDP")
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_names_it() {
    let server = TlsServer::start("Corp Root 1", "localhost", 2999).await;
    let said = refused(&server.url).await.replace(&server.url, "IDP");
    insta::assert_snapshot!(said, @"the certificate of `IDP` was issued by `Corp Root 1`, which this host does not trust; if it is right, add that authority to the host's certificates");
    let trust = Trust { ca_file: Some(server.ca_file.clone()), ..Trust::default() };
    let answer = client(&trust).send(Request::get(&server.url)).await.unwrap();
    assert_eq!((answer.status, answer.body()), (200, b"{}".as_slice()));
}

#[tokio::test]
async fn a_certificate_that_is_over_or_for_another_says_so() {
    let mut said = vec![];
    for (name, until) in [("localhost", 2021), ("vpn.example.com", 2999)] {
        let server = TlsServer::start("Corp Root 1", name, until).await;
        let trust = Trust { ca_file: Some(server.ca_file.clone()), ..Trust::default() };
        let error = client(&trust).send(Request::get(&server.url)).await.unwrap_err();
        said.push(error.to_string().replace(&server.url, "IDP"));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the certificate of `IDP` expired at 2021-01-01T00:00:00.000Z by this host's clock
    the certificate of `IDP` is not for this name but for `vpn.example.com`
    ");
}

#[tokio::test]
async fn plain_http_behind_an_https_address_is_recognised() {
    let idp = Idp::start().await;
    let url = idp.issuer.replace("http://127.0.0.1", "https://localhost");
    let said = refused(&url).await.replace(&url, "IDP");
    insta::assert_snapshot!(said, @"`IDP` does not speak TLS; is it plain http?");
}

#[tokio::test]
async fn nobody_there_and_no_such_name_differ() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut said = vec![refused(&closed).await.replace(&closed, "IDP")];
    said.push(refused("https://idp.invalid/x").await);
    insta::assert_snapshot!(said.join("\n"), @r"
    `IDP` refuses connections
    the name `idp.invalid` does not resolve
    ");
}

/// Takes connections, writes this, and hangs up or keeps silent.
async fn raw(writes: &'static [u8], hangs_up: bool) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut kept = vec![];
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _read = stream.read(&mut request).await.unwrap();
            stream.write_all(writes).await.unwrap();
            if !hangs_up {
                kept.push(stream);
            }
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn what_speaks_no_http_or_breaks_off_says_so() {
    let mut said = vec![];
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    for writes in [b"".as_slice(), b"SSH-2.0-OpenSSH_9.2\r\n\r\n", cut] {
        let (port, _tasks) = raw(writes, true).await;
        let url = format!("http://127.0.0.1:{port}");
        said.push(refused(&url).await.replace(&url, "IDP"));
    }
    let limits = Limits { connect: Span::from_millis(300), ..Limits::default() };
    let http = Http::new(Trust::default(), limits);
    let (port, _tasks) = raw(b"", false).await;
    let silent = format!("https://localhost:{port}");
    let error = http.send(Request::get(&silent)).await.unwrap_err();
    said.push(error.to_string().replace(&silent, "IDP"));
    insta::assert_snapshot!(said.join("\n"), @r"
    the connection to `IDP` failed: it sent no whole HTTP answer
    the connection to `IDP` failed: it sent no whole HTTP answer
    the connection to `IDP` failed: it sent no whole HTTP answer
    `IDP` took no connection within 300 ms
    ");
}

#[tokio::test]
async fn every_answer_has_an_end() {
    let mut said = vec![];
    for reply in [
        Reply::Hang,
        Reply::SlowBody,
        Reply::Announced(1_001),
        Reply::Endless,
        Reply::Redirect("https://evil.example.com/take?code=secret"),
        Reply::Redirect("/elsewhere"),
    ] {
        let idp = Idp::start().await;
        idp.behave(|manners| manners.instead = vec![("/x", reply)]);
        said.push(impatient(&idp, 1_000).await);
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    `IDP` did not answer within 300 ms
    `IDP` did not finish its answer within 300 ms
    the answer of `IDP/x` is larger than 1000 bytes
    the answer of `IDP/x` is larger than 1000 bytes
    `IDP/x` redirects to `https://evil.example.com/take`; redirects are not followed
    `IDP/x` redirects to `IDP/elsewhere`; redirects are not followed
    ");
}

#[tokio::test]
async fn a_status_is_told_by_its_meaning() {
    let mut said = vec![];
    for (status, wait) in [(401, None), (404, None), (429, Some(30)), (503, Some(2)), (500, None)] {
        let idp = Idp::start().await;
        idp.behave(|manners| manners.instead = vec![("/x", Reply::Status(status, wait))]);
        let http = client(&Trust::default());
        let answer = http.send(Request::get(format!("{}/x", idp.issuer))).await.unwrap();
        let error = answer.success().unwrap_err();
        said.push(error.to_string().replace(&idp.issuer, "IDP"));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    `IDP/x` answered 401: it does not accept the credentials
    `IDP/x` answered 404: there is nothing at this address
    `IDP/x` answered 429: it was asked too often; try again in 30 s
    `IDP/x` answered 503: it is not available at the moment; try again in 2 s
    `IDP/x` answered 500: it has trouble of its own
    ");
}

#[tokio::test]
async fn a_file_of_certificates_that_is_none_is_refused_until_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let http = client(&Trust { ca_file: Some(file.clone()), ..Trust::default() });
    let mut said = vec![];
    for text in [
        None,
        Some("nothing\n"),
        Some("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let error: HttpError = http.ready().await.unwrap_err();
        said.push(error.to_string().replace(dir.path().to_str().unwrap(), "DIR"));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the file of certificates `DIR/ca.pem` does not exist
    the file of certificates `DIR/ca.pem` holds no certificate
    the file of certificates `DIR/ca.pem` is not a file of certificates in PEM
    ");
    let server = TlsServer::start("Corp Root 1", "localhost", 2999).await;
    std::fs::copy(&server.ca_file, &file).unwrap();
    assert!(http.send(Request::get(&server.url)).await.is_ok());
}
