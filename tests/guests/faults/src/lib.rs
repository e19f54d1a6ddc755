//! What a module should not do. Each text message names a fault; anything else is echoed. The setting `start` names a
//! fault at the start.

use hassock_sdk::prelude::*;

struct Faults;

impl Start for Faults {
    fn start() -> Result<Self> {
        if let Some(misdeed) = settings::get("start") {
            commit(&misdeed);
        }
        Ok(Self)
    }
}

impl Handler for Faults {
    type Message<'a> = MessageRef<'a>;

    fn on_open(&self, _: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        if let Some(misdeed) = request.query_value("open") {
            commit(&misdeed);
        }
        Ok(Acceptance::new().topic("faults"))
    }

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        let answer = match message.as_text() {
            Some("flood") => {
                flood(connection);
                return Ok(());
            }
            Some("glut") => {
                // The host refuses the name in any case, but must not have it in its memory first.
                let _ = connection.subscribe(&"x".repeat(40 << 20));
                "not stopped".to_owned()
            }
            Some("error") => bail!("told to"),
            Some("huge") => huge()?,
            Some("leak") => leak(LeakBy::Forgetting)?,
            Some("leak and trap") => leak(LeakBy::Trapping)?,
            Some("leak and spin") => leak(LeakBy::Spinning)?,
            Some("leak and sleep") => leak(LeakBy::Sleeping)?,
            Some("leak and error") => leak(LeakBy::Failing)?,
            Some("chatter") => {
                (0..1000).for_each(|line| info!("line {line}"));
                "chattered".to_owned()
            }
            Some(misdeed) => {
                commit(misdeed);
                misdeed.to_owned()
            }
            None => "binary".to_owned(),
        };
        connection.send(answer)
    }

    fn on_close(&self, _: Connection, closing: &Closing) -> Result<()> {
        if closing.reason == "trap in closed" {
            commit("trap");
        }
        Ok(())
    }
}

fn commit(misdeed: &str) {
    match misdeed {
        "trap" => panic!("told to"),
        "spin" => spin(),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "hog" => hog(),
        "overflow" => drop(std::hint::black_box(overflow(1))),
        _ => {}
    }
}

fn spin() -> ! {
    let mut rounds = 0_u64;
    loop {
        rounds = std::hint::black_box(rounds.wrapping_add(1));
    }
}

fn hog() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame.iter().sum::<u64>()
}

/// Send until the host refuses; the close that follows says how much the host took.
fn flood(connection: Connection) {
    let sent = (0..1_000_000).take_while(|_| connection.send("x".repeat(1000)).is_ok()).count();
    // The outbox is full, so an answer could not be queued: close with it instead.
    let _ = connection.close(3000, &format!("{sent} of 1000 bytes each"));
}

/// Ask for a huge result.
fn huge() -> Result<String> {
    // MariaDB ends a recursion after 1000 rounds.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
               SELECT a.i FROM n a, n b, n c";
    match Database::open("main")?.query(sql, []) {
        Ok(rows) => Ok(format!("{} rows", rows.len())),
        Err(error) => Ok(error.to_string()),
    }
}

enum LeakBy {
    Forgetting,
    Trapping,
    Spinning,
    Sleeping,
    Failing,
}

/// Leave a transaction open in one way or another.
fn leak(by: LeakBy) -> Result<String> {
    let transaction = Database::open("main")?.begin()?;
    transaction.execute("INSERT INTO leak (n) VALUES (1)", [])?;
    match by {
        LeakBy::Forgetting => std::mem::forget(transaction),
        LeakBy::Trapping => commit("trap"),
        LeakBy::Spinning => spin(),
        LeakBy::Sleeping => commit("sleep"),
        LeakBy::Failing => {
            std::mem::forget(transaction);
            bail!("told to");
        }
    }
    Ok("leaked".to_owned())
}

hassock_sdk::export!(Faults);
