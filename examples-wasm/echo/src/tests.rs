use hassock_guest::testing::TestHost;

use super::*;

#[test]
fn text_comes_back_as_text_and_binary_as_binary() {
    let host = TestHost::<Echo>::new();
    let client = host.connect("/echo").unwrap();
    client.send("hello 😀");
    client.send_batch([vec![0, 255], vec![]]);
    let expected = [Message::from("hello 😀"), Message::from(vec![0, 255]), Message::from(Vec::new())];
    assert_eq!(client.received(), expected);
}

#[test]
fn nobody_hears_another() {
    let host = TestHost::<Echo>::new();
    let (one, two) = (host.connect("/echo").unwrap(), host.connect("/echo").unwrap());
    one.send("mine");
    assert_eq!(two.received(), []);
}
