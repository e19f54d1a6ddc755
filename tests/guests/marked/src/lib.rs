//! Tests make versions of this module: they write another mark into its bytes, which is then its name and says how it
//! behaves. Each text message is answered with the name and the text. Connections with `?topic=events` get a message
//! for each nap and each end.

use hassock_sdk::prelude::*;

/// Tests find this in the component and replace what is between the brackets: a name, and words from below.
static MARK: [u8; 64] = *b"<mark:plain                                                    >";

#[derive(Default)]
struct Marked;

impl Handler for Marked {
    type Message<'a> = MessageRef<'a>;

    fn on_open(&self, _: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        if has("open-trap") {
            panic!("told to");
        }
        let acceptance = request.query_value("topic").into_iter().fold(Acceptance::new(), Acceptance::topic);
        Ok(acceptance.topic("all").attachment(&vec![name()])?)
    }

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        let text = message.as_text().unwrap_or_default();
        let number: Option<u64> = text.rsplit(' ').next().and_then(|word| word.parse().ok());
        if has("third-traps") && number.is_some_and(|number| number % 3 == 0) || has("all-trap") {
            panic!("told to, at {text}");
        }
        match text {
            // The names of the versions that have had the attachment.
            "attachment" => {
                let names: Vec<String> = connection.attachment()?;
                connection.send(names.join(" "))?;
            }
            "attach" => {
                connection.set_attachment(&vec![name(), "changed".to_owned()])?;
                connection.send("done")?;
            }
            _ if text.starts_with("timer") => {
                connection.set_timer("t", std::time::Duration::from_millis(number.unwrap_or(50)), &())?;
            }
            "error" => bail!("told to"),
            "sleep" => {
                std::thread::sleep(std::time::Duration::from_millis(300));
                connection.send(format!("{} slept", name()))?;
            }
            // The same for tests that must know when it begins: the client and `events` get a message. The attachment
            // is the same at its end.
            "nap" => {
                connection.send(format!("{} naps", name()))?;
                topics::publish("events", format!("{} naps", name()))?;
                std::thread::sleep(std::time::Duration::from_millis(300));
                let names: Vec<String> = connection.attachment()?;
                connection.send(format!("{} woke with {}", name(), names.join(" ")))?;
            }
            _ => connection.send(format!("{} {text}", name()))?,
        }
        Ok(())
    }

    fn on_close(&self, _: Connection, closing: &Closing) -> Result<()> {
        info!("closed by {}", name());
        topics::publish("events", format!("{} closed {}", name(), closing.code)).map(drop)
    }

    fn on_connection_timer(&self, connection: Connection, _: &Timer) -> Result<()> {
        connection.send(format!("{} fired", name()))
    }

    fn check() -> Result<()> {
        match () {
            _ if has("check-error") => bail!("the check says no"),
            _ if has("check-trap") => panic!("the check was told to"),
            _ if has("check-spin") => loop {
                std::hint::black_box(());
            },
            _ if has("check-sleep") => std::thread::sleep(std::time::Duration::from_secs(3600)),
            _ if has("check-publish") => {
                topics::publish("all", "from the check")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn migrate(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
        match () {
            _ if has("migrate-error") => bail!("{} cannot read {from_version}", name()),
            _ if has("migrate-trap") => panic!("the migration was told to"),
            _ if has("migrate-spin") => loop {
                std::hint::black_box(());
            },
            _ if has("migrate-huge") => return Ok(vec![b' '; 1 << 20]),
            _ if has("migrate") => {}
            _ => return Ok(attachment),
        }
        let mut names: Vec<String> = serde_json::from_slice(&attachment)?;
        names.push(name());
        Ok(serde_json::to_vec(&names)?)
    }
}

fn mark() -> &'static str {
    // The mark is not known at compile time.
    let mark: &'static [u8; 64] = std::hint::black_box(&MARK);
    std::str::from_utf8(mark).unwrap_or_default().trim_start_matches("<mark:").trim_end_matches('>').trim()
}

fn name() -> String {
    mark().split(' ').next().unwrap_or_default().to_owned()
}

fn has(word: &str) -> bool {
    mark().split(' ').any(|own| own == word)
}

hassock_sdk::export!(Marked);
