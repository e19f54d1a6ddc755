//! Subscriptions and fan-out.

use super::*;
use crate::TopicError;

#[test]
fn a_message_reaches_the_subscribers_and_nobody_else() {
    let host = host();
    let (one, two, three) = (client(&host), client(&host), client(&host));
    for client in [&two, &one] {
        within(client, |own| {
            own.subscribe("t").unwrap();
            own.subscribe("t").unwrap();
        });
    }
    let all = [one.connection(), two.connection()];
    within(&three, move |_| {
        assert_eq!(topics::subscribers("t"), all);
        assert_eq!(topics::publish("t", "all").unwrap(), 2);
        assert_eq!(all[0].publish_except("t", "but one").unwrap(), 1);
        assert_eq!(topics::publish("nobody", "x").unwrap(), 0);
    });
    assert_eq!((texts(&one), texts(&two)), (vec!["all".into()], vec!["all".into(), "but one".into()]));
    assert_eq!(texts(&three), Vec::<String>::new());
    within(&one, |own| {
        own.unsubscribe("t").unwrap();
        own.unsubscribe("never").unwrap();
        assert_eq!(topics::publish("t", "later").unwrap(), 1);
    });
    assert_eq!((one.topics(), two.topics()), (vec![], vec!["t".to_owned()]));
}

#[test]
fn names_and_numbers_are_bounded() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        for name in [String::new(), "x".repeat(257)] {
            assert_eq!(failed::<TopicError, _>(own.subscribe(&name)), TopicError::InvalidTopic);
        }
        for number in 0..64 {
            own.subscribe(&number.to_string()).unwrap();
        }
        assert_eq!(failed::<TopicError, _>(own.subscribe("one more")), TopicError::TooManyTopics);
        own.subscribe("0").unwrap();
        let nobody = Connection::from_id(9);
        assert_eq!(failed::<TopicError, _>(nobody.subscribe("t")), TopicError::UnknownConnection);
        let large = "x".repeat((1 << 20) + 1);
        assert_eq!(failed::<TopicError, _>(topics::publish("nobody", large)), TopicError::TooLarge);
    });
}
