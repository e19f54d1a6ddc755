//! What the config names never leaves the host.

use super::*;

const SECRET: &str = "s3cret";

/// Header fields, JSON fields in both directions and query parameters are redacted, in the file and in what the host
/// sends to the command.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_names_is_left_out() {
    let keys = "[apps.probe.record]\nredact_headers = [\"Cookie\", \"X-Room\"]\nredact_fields = [\"token\", \"pin\"]\n";
    let site = probe(keys);
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    let change = |request: &mut Request| {
        request.headers_mut().insert("cookie", SECRET.parse().unwrap());
        request.headers_mut().insert("x-test", "shown".parse().unwrap());
    };
    let target = format!("/probe?open=header&pin={SECRET}&token={SECRET}");
    let mut client = Client::with(&host.address, &target, change).await.unwrap();
    let text = format!("[{{\"z\":{{\"token\":\"{SECRET}\"}},\"a\":\"${{any}}\"}}]");
    assert_eq!(client.ask(text.clone()).await, text, "the traffic is not redacted");
    client.close().await;
    recorded(process).await;
    let expected = "connect c1 /probe?open=header&pin=redacted&token=redacted\n  x-test: shown\n  cookie: redacted\n  @id: 1\n  \
                    < x-room: /.*/\n\
                    c1 > [{\"z\":{\"token\":\"redacted\"},\"a\":\"$${any}\"}]\n\
                    c1 < [{\"z\":{\"token\":\"${any}\"},\"a\":\"$${any}\"}]\n\
                    c1 skips\nc1 disconnects\n";
    assert_eq!(steps(&site, "probe", &guest("probe")), expected);
    host.stop().await;
}

/// Without any key in the config, credentials in header fields and in the query are redacted.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_left_out_by_default() {
    let site = probe("");
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    let change = |request: &mut Request| {
        for name in ["authorization", "cookie", "proxy-authorization", "x-test"] {
            request.headers_mut().insert(name, SECRET.parse().unwrap());
        }
    };
    let target = "/probe?room=a&token=s3cret&access_token=s3cret&Password=s3cret&key=s3cret&keys=shown";
    drop(Client::with(&host.address, target, change).await.unwrap());
    recorded(process).await;
    // In the order in which this client sends them.
    let expected = "connect c1 /probe?room=a&token=redacted&access_token=redacted&Password=redacted&key=redacted&keys=shown\n  \
                    x-test: s3cret\n  proxy-authorization: redacted\n  cookie: redacted\n  \
                    authorization: redacted\n  @id: 1\nc1 skips\nc1 vanishes\n";
    assert_eq!(steps(&site, "probe", &guest("probe")), expected);
    host.stop().await;
}
