//! The contract without the SDK, as another language sees it. Through `handler.receive` it echoes, text with `send` and
//! binary with `send-many`. Through `packed-handler` it echoes, or does what the SDK never does: a text names it. No
//! call can wait.

use hassock_sdk::bindings;
use hassock_sdk::bindings::exports::hassock::host::{
    handler, migration, packed_handler, request_handler, resumption_handler, self_test, subscription_handler,
    timer_handler,
};
use hassock_sdk::bindings::hassock::host::{connections, types};

const TEXT: u32 = 1 << 31;

struct Raw;

impl handler::Guest for Raw {
    fn open(_: u64, _: handler::Request) -> Result<handler::Acceptance, handler::Refusal> {
        Ok(handler::Acceptance { subprotocol: None, headers: Vec::new(), topics: Vec::new(), attachment: Vec::new() })
    }

    fn receive(id: u64, messages: Vec<handler::Message>) -> Result<(), String> {
        for message in messages {
            match message {
                types::Message::Text(_) => connections::send(id, &message).map_err(|error| error.to_string())?,
                // None of them is nothing, and not an empty message.
                types::Message::Binary(_) => connections::send_many(id, &[])
                    .and_then(|()| connections::send_many(id, &[message.clone(), message]))
                    .map_err(|error| error.to_string())?,
            }
        }
        Ok(())
    }

    fn closed(_: u64, _: handler::Closing) {}
}

impl packed_handler::Guest for Raw {
    fn receive_packed(id: u64, messages: Vec<u8>, room: u32) -> Result<Vec<u8>, String> {
        Ok(match messages.get(4..).unwrap_or_default() {
            b"incomplete" => vec![1, 0, 0],
            b"not UTF-8" => [&(1 | TEXT).to_le_bytes(), [0xff].as_slice()].concat(),
            b"all of the room" => binary(room as usize - 64),
            b"more than the room" => binary(room as usize - 63),
            b"incomplete and sent" => match connections::send_packed(id, &[1, 0, 0]) {
                Err(connections::Error::Invalid(reason)) => text(&reason),
                other => text(&format!("{other:?}")),
            },
            b"room" => {
                let before = room;
                let after = connections::send_packed(id, &text("sent")).map_err(|error| error.to_string())?;
                text(&format!("{before} and then {after}"))
            }
            b"spin" => loop {
                std::hint::black_box(());
            },
            _ if room > 0 => messages,
            // The host wants the messages at once.
            _ => {
                connections::send_packed(id, &messages).map_err(|error| error.to_string())?;
                Vec::new()
            }
        })
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32 | TEXT).to_le_bytes(), text.as_bytes()].concat()
}

fn binary(length: usize) -> Vec<u8> {
    [(length as u32).to_le_bytes().to_vec(), vec![7; length]].concat()
}

impl timer_handler::Guest for Raw {
    fn connection_timer(_: u64, _: String, _: Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    fn app_timer(_: String, _: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

impl subscription_handler::Guest for Raw {
    fn subscribe(_: u64, _: String) -> Result<(), String> {
        Ok(())
    }
}

impl request_handler::Guest for Raw {
    fn request(_: u64, message: types::Message) -> Result<types::Message, String> {
        Ok(message)
    }
}

impl resumption_handler::Guest for Raw {
    fn resumed(_: u64, _: resumption_handler::Request) -> Result<(), String> {
        Ok(())
    }
}

impl self_test::Guest for Raw {
    fn check() -> Result<(), String> {
        Ok(())
    }
}

impl migration::Guest for Raw {
    fn migrate(_: String, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(attachment)
    }
}

bindings::export_module!(Raw with_types_in bindings);
