use hassock_guest::testing::TestHost;

use super::*;

/// What each message is answered with.
fn answers<M: Into<Message>>(messages: impl IntoIterator<Item = M>) -> Vec<Message> {
    let host = TestHost::<Commands>::new();
    let client = host.connect("/commands").unwrap();
    client.send_batch(messages);
    client.received()
}

#[test]
fn commands_are_answered() {
    let version = hassock_guest::testing::HOST_VERSION;
    assert_eq!(
        answers(["test", "  test\n", "version"]),
        ["This is a test!", "This is a test!", version].map(Message::from)
    );
}

#[test]
fn anything_else_is_no_command() {
    let unknown = answers(["", "TEST", "tests"]);
    assert_eq!(unknown, vec![Message::from("Command not found"); 3]);
    assert_eq!(answers([b"test".to_vec()]), [Message::from("Command not found")]);
}
