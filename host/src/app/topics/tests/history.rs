//! What is kept, and what those who were away get of it.

use std::time::Duration;

use hassock_frames::Payload;
use tokio::time::advance;

use super::*;
use crate::app::connection::Next;
use crate::client_protocol::ClientState;

/// Topics whose names begin with `room` keep so many messages for a minute.
pub(super) fn keeping(messages: usize) -> Topics {
    let topics = topics();
    configure(&topics, TopicConfig { history: messages, ..minute() }, usize::MAX);
    topics
}

fn minute() -> TopicConfig {
    TopicConfig { keep: crate::config::Duration::from_secs(60), ..TopicConfig::default() }
}

fn configure(topics: &Topics, config: TopicConfig, bytes: usize) {
    topics.configure(&BTreeMap::from([("room*".to_owned(), config)]), bytes);
}

pub(super) fn say(topics: &Topics, topic: &str, text: &str) -> Option<Position> {
    say_with(topics, &headers(topic), text)
}

fn say_all(topics: &Topics, texts: impl Iterator<Item = String>) {
    for text in texts {
        say(topics, "room", &text);
    }
}

fn say_with(topics: &Topics, headers: &Headers<'_>, text: &str) -> Option<Position> {
    topics.publish(&Encoded::text(text), headers, |message, _| message.clone(), &mut Vec::new()).1
}

/// A client that does not speak the protocol.
fn raw(id: u64) -> Arc<Connection> {
    Arc::new(Connection::new(id, 10_000))
}

/// A client of the protocol with room for so many bytes.
pub(super) fn speaking(id: u64, outbox: usize) -> Arc<Connection> {
    Arc::new(Connection::new(id, outbox).speaking(Some(ClientState::default())))
}

/// Everything that a session would write, in which the connection catches up.
pub(super) fn read(topics: &Topics, connection: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let mut taken = VecDeque::new();
        match connection.outbox.next(&mut taken) {
            Next::Messages => all.extend(taken.iter().flat_map(Encoded::split).map(text)),
            Next::Nothing if connection.is_behind() => topics.catch_up(connection),
            Next::Nothing | Next::Close(_) => return all,
        }
    }
}

fn text(message: Encoded) -> String {
    message.as_text().map(str::to_owned).unwrap()
}

fn join(topics: &Topics, connection: &Arc<Connection>, start: Start) -> Subscription {
    topics.subscribe_from(connection, "room", start, None, 10).unwrap()
}

fn kept(topics: &Topics) -> Vec<String> {
    let page = topics.history("room", None, 1_000).unwrap();
    page.messages.into_iter().map(|(_, kept)| text(kept.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_away_gets_what_it_missed_and_then_what_is_published() {
    let topics = keeping(10);
    let before = say(&topics, "room", "a").unwrap();
    say(&topics, "room", "b");
    say(&topics, "room", "c");
    let one = raw(1);
    let joined = join(&topics, &one, Start::Since(before));
    assert_eq!(joined, Subscription { position: Some(before), gap: None });
    say(&topics, "room", "d");
    assert_eq!(read(&topics, &one), ["b", "c", "d"]);
    let two = raw(2);
    assert_eq!(join(&topics, &two, Start::Last(2)).gap, None);
    assert_eq!(read(&topics, &two), ["c", "d"]);
    let three = raw(3);
    join(&topics, &three, Start::Now);
    assert!(read(&topics, &three).is_empty());
    assert_eq!(topics.report().recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_protocol_learns_positions_and_ids() {
    let topics = keeping(10);
    let first = say(&topics, "room", "a").unwrap();
    say_with(&topics, &Headers { id: Some("x"), ..headers("room") }, "b");
    let one = speaking(1, 10_000);
    join(&topics, &one, Start::Since(first));
    say_with(&topics, &Headers { keeping: Keeping::Skip, ..headers("room") }, "c");
    say_with(&topics, &Headers { except: Some(1), ..headers("room") }, "d");
    one.outbox.push(Encoded::messages([Payload::text("e"), Payload::text("f")].into_iter())).unwrap();
    assert_eq!(
        read(&topics, &one),
        [
            "{\"type\":\"subscribed\",\"topic\":\"room\",\"position\":\"7-1\",\"was_recovering\":true,\"recovered\":true}\n",
            "{\"topic\":\"room\",\"position\":\"7-2\",\"id\":\"x\"}\nb",
            "{\"topic\":\"room\"}\nc",
            "{\"type\":\"position\",\"topic\":\"room\",\"position\":\"7-3\"}\n",
            "\ne",
            "\nf",
        ]
    );
    topics.unsubscribe(&one, "room");
    assert_eq!(read(&topics, &one), ["{\"type\":\"unsubscribed\",\"topic\":\"room\"}\n"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_always_told_with_its_reason() {
    let config = TopicConfig { history: 3, history_bytes: crate::config::Size::from(740), ..minute() };
    for (gap, long, wait) in [(Gap::Count, 1, 0), (Gap::Bytes, 300, 0), (Gap::Age, 1, 60)] {
        let topics = topics();
        configure(&topics, config.clone(), usize::MAX);
        let first = say(&topics, "room", "first").unwrap();
        let messages = if gap == Gap::Count { 4 } else { 2 };
        say_all(&topics, (0..messages).map(|_| "x".repeat(long)));
        advance(Duration::from_secs(wait)).await;
        let one = raw(1);
        assert_eq!(join(&topics, &one, Start::Since(Position { offset: 0, ..first })).gap, Some(gap));
        let missed: usize = read(&topics, &one).len();
        assert_eq!(missed, if gap == Gap::Age { 0 } else { messages.min(3) }, "{gap:?}: what is there comes anyway");
        assert_eq!(topics.report().gaps.iter().find(|(_, count)| *count > 0), Some(&(gap.name(), 1)));
    }
    let topics = keeping(3);
    let first = say(&topics, "room", "first").unwrap();
    let one = raw(1);
    assert_eq!(join(&topics, &one, Start::Since(Position { epoch: 8, ..first })).gap, Some(Gap::Restart));
    assert_eq!(read(&topics, &one), ["first"]);
    let unkept = topics.subscribe_from(&one, "other", Start::Since(first), None, 10).unwrap();
    assert_eq!(unkept, Subscription { position: None, gap: Some(Gap::None) });
}

#[tokio::test(start_paused = true)]
async fn an_idle_topic_is_forgotten_and_what_was_there_is_not_taken_for_nothing() {
    let topics = keeping(3);
    let (first, last) = (say(&topics, "room", "a").unwrap(), say(&topics, "room", "b").unwrap());
    topics.sweep(Instant::now());
    assert_eq!(topics.count(), (1, 0));
    advance(Duration::from_secs(60)).await;
    topics.sweep(Instant::now());
    assert_eq!((topics.count(), topics.report().bytes), ((0, 0), 0));
    let missing = |since| topics.history("room", Some(since), 10).unwrap().gap;
    assert_eq!((missing(first), missing(last)), (Some(Gap::Age), None));
    let one = raw(1);
    assert_eq!(join(&topics, &one, Start::Since(first)).gap, Some(Gap::Age));
    assert_eq!(join(&topics, &one, Start::Since(last)).gap, None, "nothing came since");
    assert!(say(&topics, "room", "c").unwrap().offset > last.offset, "no offset is used twice");
}

#[tokio::test(start_paused = true)]
async fn the_topics_of_an_app_share_their_room() {
    let topics = topics();
    let room = 8_000;
    configure(&topics, TopicConfig { history: 1_000, ..minute() }, room);
    for topic in 0..1_000 {
        say(&topics, &format!("room{topic}"), &"x".repeat(100));
        assert!(topics.report().bytes <= room);
        if topic % 5 == 4 {
            advance(Duration::from_millis(1)).await;
            topics.sweep(Instant::now());
            assert!(topics.report().bytes <= room / 8 * 7);
        }
    }
    let page = |topic: u32| topics.history(&format!("room{topic}"), None, 1).unwrap();
    assert_eq!((page(999).messages.len(), page(0).messages.len()), (1, 0), "the oldest go first");
    let since = Position { offset: 0, ..page(0).latest };
    assert!(topics.history("room0", Some(since), 1).unwrap().gap.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_with_little_room_gets_everything_little_by_little() {
    let topics = keeping(1_000);
    let numbers: Vec<String> = (0..200).map(|number: u32| number.to_string()).collect();
    say_all(&topics, numbers.iter().take(100).cloned());
    let one = Arc::new(Connection::new(1, 500));
    join(&topics, &one, Start::Last(100));
    assert!(one.is_behind() && topics.subscribers("room") == [1] && topics.count() == (1, 1));
    say_all(&topics, numbers.iter().skip(100).cloned());
    assert_eq!(read(&topics, &one), numbers);
    assert!(!one.is_behind());
    say(&topics, "room", "live");
    assert_eq!(read(&topics, &one), ["live"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_reads_more_slowly_than_is_kept_is_told() {
    let topics = keeping(10);
    say_all(&topics, (0..10).map(|number| number.to_string()));
    let (raw, spoken) = (Arc::new(Connection::new(1, 300)), speaking(2, 600));
    join(&topics, &raw, Start::Last(10));
    join(&topics, &spoken, Start::Last(10));
    say_all(&topics, (10..30).map(|number| number.to_string()));
    let got = read(&topics, &spoken);
    let gap = got.iter().position(|message| message.contains("\"type\":\"gap\"")).unwrap();
    assert!(got[gap].contains("\"count\"") && got[gap + 1].ends_with("\n20") && got.last().unwrap().ends_with("\n29"));
    read(&topics, &raw);
    assert!(raw.outbox.is_closing(), "a client without the protocol cannot be told");
}

#[tokio::test(start_paused = true)]
async fn a_policy_changes_what_is_kept() {
    let topics = keeping(10);
    let one = raw(1);
    join(&topics, &one, Start::Now);
    let positions: Vec<_> = (0..5).map(|number| say(&topics, "room", &number.to_string()).unwrap()).collect();
    configure(&topics, TopicConfig { history: 2, ..minute() }, usize::MAX);
    assert_eq!(kept(&topics), ["3", "4"]);
    topics.configure(&BTreeMap::new(), usize::MAX);
    assert!(topics.history("room", None, 10).is_none() && say(&topics, "room", "5").is_none());
    configure(&topics, TopicConfig { history: 2, ..minute() }, usize::MAX);
    for position in positions {
        assert!(topics.history("room", Some(position), 10).unwrap().gap.is_some(), "the sixth message had no position");
    }
    assert_eq!(read(&topics, &one).len(), 6, "the subscriber has stayed");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_for_which_a_message_is_too_large_is_closed() {
    let topics = keeping(10);
    let one = speaking(1, 300);
    join(&topics, &one, Start::Now);
    read(&topics, &one);
    say(&topics, "room", &"x".repeat(1_000));
    assert!(one.outbox.is_closing(), "it was opened with a smaller outbox than the config has now");
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_reads_what_it_missed_does_not_get_its_own_message() {
    let topics = keeping(100);
    say_all(&topics, (0..50).map(|number| number.to_string()));
    let (one, raw) = (speaking(1, 1_000), Arc::new(Connection::new(2, 1_000)));
    join(&topics, &one, Start::Last(50));
    join(&topics, &raw, Start::Last(50));
    assert!(one.is_behind() && raw.is_behind());
    say_with(&topics, &Headers { except: Some(1), ..headers("room") }, "by one");
    say_with(&topics, &Headers { except: Some(2), ..headers("room") }, "by two");
    let got = read(&topics, &one);
    let last: Vec<&str> = got.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        last,
        [
            "{\"topic\":\"room\",\"position\":\"7-52\"}\nby two",
            "{\"type\":\"position\",\"topic\":\"room\",\"position\":\"7-51\"}\n"
        ]
    );
    assert_eq!(read(&topics, &raw)[49..], ["49", "by one"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_has_a_bounded_length() {
    let topics = topics();
    configure(
        &topics,
        TopicConfig { history: 100, history_bytes: crate::config::Size::mebibytes(16), ..minute() },
        usize::MAX,
    );
    let first = say(&topics, "room", "first").unwrap();
    say_all(&topics, (0..10).map(|number| format!("{number} {}", "x".repeat(300_000))));
    let page = |since| {
        let page = topics.history("room", since, usize::MAX).unwrap();
        let numbers: Vec<String> =
            page.messages.iter().map(|(_, kept)| text(kept.message.clone())[..1].to_owned()).collect();
        (numbers.concat(), page.is_cut)
    };
    assert_eq!(page(Some(first)), ("012".to_owned(), true), "the next ones");
    assert_eq!(page(None), ("789".to_owned(), true), "the last ones");
    let last = topics.history("room", None, 2).unwrap().messages[0].0;
    assert_eq!(page(Some(last)), ("9".to_owned(), false));
}
