//! Who is there.

use bytes::Bytes;
use serde_json::{Value, json};

use super::history::{read, say, speaking};
use super::*;

fn present(most: usize) -> Topics {
    let topics = topics();
    let config = TopicConfig { presence: true, presence_members: most, ..TopicConfig::default() };
    topics.configure(&BTreeMap::from([("room".to_owned(), config)]), usize::MAX);
    topics
}

fn join(topics: &Topics, id: u64) -> Arc<Connection> {
    let connection = speaking(id, 1 << 20);
    connection.set_presence(Bytes::from(format!("\"{id}\"")));
    topics.subscribe(&connection, "room", 1).unwrap();
    connection
}

/// What a client was told since it was last asked: the headers without `topic`, and payloads.
fn told(topics: &Topics, connection: &Connection) -> Vec<Value> {
    let header = |message: &String| {
        let (header, payload) = message.split_once('\n').unwrap();
        let mut header: Value = serde_json::from_str(header).unwrap();
        header.as_object_mut().unwrap().remove("topic");
        if payload.is_empty() { header } else { json!(payload) }
    };
    let all = read(topics, connection);
    all.iter().map(header).filter(|told| told["type"] != "subscribed").collect()
}

fn member(id: u64) -> Value {
    json!({ "connection": id, "data": format!("\"{id}\"") })
}

#[tokio::test(start_paused = true)]
async fn those_who_are_there_learn_who_comes_and_who_leaves() {
    let topics = present(10);
    let one = join(&topics, 1);
    assert_eq!(told(&topics, &one), [json!({ "type": "presence", "count": 1, "members": [member(1)] })]);
    topics.tell_changes();
    told(&topics, &one);
    let (two, three) = (join(&topics, 2), join(&topics, 3));
    assert!(told(&topics, &one).is_empty(), "not yet");
    topics.tell_changes();
    let both = json!({ "type": "presence", "count": 3, "joined": [member(2), member(3)], "left": [] });
    assert_eq!(told(&topics, &one), std::slice::from_ref(&both));
    let all = json!({ "type": "presence", "count": 3, "members": [member(1), member(2), member(3)] });
    assert_eq!(told(&topics, &three), [all, both], "what it knows already does no harm");
    topics.unsubscribe_all(&two);
    three.set_presence(Bytes::from_static(b"new"));
    topics.update_presence(&three);
    topics.tell_changes();
    let changed = json!([{ "connection": 3, "data": "new" }]);
    let expected = json!({ "type": "presence", "count": 2, "joined": changed, "left": [2] });
    assert_eq!(told(&topics, &one), [expected]);
    topics.tell_changes();
    assert!(told(&topics, &one).is_empty(), "nothing has changed");
    assert_eq!((topics.members("room", 1, 10).0.len(), topics.member_count("room")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_of_a_member_before_it_has_joined() {
    let topics = present(10);
    let one = join(&topics, 1);
    topics.tell_changes();
    told(&topics, &one);
    let _two = join(&topics, 2);
    say(&topics, "room", "from two");
    let heard = told(&topics, &one);
    assert_eq!((&heard[0]["joined"], &heard[1], heard.len()), (&json!([member(2)]), &json!("from two"), 2));
}

#[tokio::test(start_paused = true)]
async fn clients_that_were_there_before_the_config_said_so_are_told() {
    let topics = topics();
    let one = join(&topics, 1);
    told(&topics, &one);
    let config = TopicConfig { presence: true, ..TopicConfig::default() };
    topics.configure(&BTreeMap::from([("room".to_owned(), config)]), usize::MAX);
    topics.tell_changes();
    assert_eq!(told(&topics, &one), [json!({ "type": "presence", "count": 1, "members": [member(1)] })]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_told_only_a_number_gets_the_list_when_there_is_one() {
    let topics = present(3);
    let all: Vec<_> = (1..=4).map(|id| join(&topics, id)).collect();
    topics.unsubscribe_all(&all[0]);
    topics.tell_changes();
    let list = json!([member(2), member(3), member(4)]);
    assert_eq!(told(&topics, &all[3]).last().unwrap()["members"], list);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_left_does_not_come_back_by_an_update() {
    let topics = present(3);
    let (one, two) = (join(&topics, 1), join(&topics, 2));
    topics.tell_changes();
    told(&topics, &one);
    let names = two.topics.lock().clone();
    topics.unsubscribe_all(&two);
    *two.topics.lock() = names;
    topics.update_presence(&two);
    topics.tell_changes();
    assert_eq!(told(&topics, &one), [json!({ "type": "presence", "count": 1, "joined": [], "left": [2] })]);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_a_number() {
    let topics = present(3);
    let one = join(&topics, 1);
    topics.tell_changes();
    told(&topics, &one);
    let crowd: Vec<_> = (2..10_002).map(|id| join(&topics, id)).collect();
    for number in 0..100 {
        say(&topics, "room", &number.to_string());
    }
    topics.tell_changes();
    let heard = told(&topics, &one);
    let presence: Vec<&Value> = heard.iter().filter(|told| told["type"] == "presence").collect();
    assert_eq!(presence, [&json!({ "type": "presence", "count": 10_001 })], "one message for all of them");
    assert!(told(&topics, &crowd[9_999])[0].get("members").is_none());
    for member in &crowd[1..] {
        topics.unsubscribe_all(member);
    }
    topics.tell_changes();
    let all = json!({ "type": "presence", "count": 2, "members": [member(1), member(2)] });
    assert_eq!(told(&topics, &one), [all], "the list is there again");
}
