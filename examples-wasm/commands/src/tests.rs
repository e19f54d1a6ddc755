use hassock_sdk::testing::{HOST_VERSION, MockHost};

use super::*;

#[test]
fn commands_are_answered() {
    let client = MockHost::<Commands>::new().connect("/commands");
    client.send_batch(["test", "  test\n", "version"]);
    client.expect_text("This is a test!");
    client.expect_text("This is a test!");
    client.expect_text(HOST_VERSION);
}

#[test]
fn anything_else_is_not_a_command() {
    let client = MockHost::<Commands>::new().connect("/commands");
    client.send_batch(["", "TEST", "tests"]);
    client.send_binary("test");
    assert_eq!(client.messages(), vec![Message::from("Command not found"); 4]);
}
