use hassock_sdk::testing::MockHost;

use super::*;

#[test]
fn text_comes_back_as_text_and_binary_as_binary() {
    let client = MockHost::<Echo>::new().connect("/echo");
    client.send_text("hello 😀");
    client.send_batch([vec![0, 255], vec![]]);
    client.expect_text("hello 😀");
    client.expect_binary(&[0, 255]);
    client.expect_binary(&[]);
}

#[test]
fn nobody_hears_another() {
    let host = MockHost::<Echo>::new();
    let (one, two) = (host.connect("/echo"), host.connect("/echo"));
    one.send_text("mine");
    two.expect_nothing();
}
