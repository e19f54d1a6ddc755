//! Settings, the log, the self-test, and the separation of hosts.

use super::*;

#[test]
fn settings_are_the_hosts() {
    let host = builder().setting("a", "1").setting("b", "two").build();
    within(&client(&host), |_| {
        assert_eq!(settings::get_parsed::<u8>("a").unwrap(), Some(1));
        assert_eq!(settings::get("c"), None);
        let all = [("a", "1"), ("b", "two")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(settings::all().unwrap(), all);
    });
}

#[test]
fn the_host_has_a_name_and_a_log() {
    let host = host();
    within(&client(&host), |_| {
        assert_eq!(crate::host_version(), "Hassock 0.1.0");
        warn!("{} sheep", 3);
        trace!("bah");
    });
    assert_eq!(log(&host), ["WARN  3 sheep", "TRACE bah"]);
}

/// A call enters its own host, also while a call of another host runs.
#[test]
fn two_hosts_do_not_mix() {
    let (one, two) = (builder().setting("name", "one").build(), builder().setting("name", "two").build());
    let (client_one, client_two) = (client(&one), client(&two));
    within(&client_one, |own| own.subscribe("t").unwrap());
    assert_eq!(within(&client_two, |_| topics::subscribers("t").len()), 0);
    let inner = within(&client_one, move |_| {
        let inner = within(&client_two, |_| settings::get("name"));
        (inner, settings::get("name"))
    });
    assert_eq!(inner, (Some("two".into()), Some("one".into())));
}

#[test]
#[should_panic(expected = "`topics::publish` needs a host, and this is outside of any: make one with")]
fn outside_of_a_host_there_is_none() {
    let host = host();
    client(&host).send("x");
    let _ = topics::publish("t", "x");
}

/// A handler that panics fails its test. A test that catches the panic can go on, and no host is entered any more.
#[test]
fn a_panic_leaves_the_host() {
    let host = builder().database("main").build();
    let client = client(&host);
    host.database("main").execute("CREATE TABLE t (a)", []).unwrap();
    MESSAGE.set(Some(Box::new(|_| {
        let transaction = Database::open("main")?.begin()?;
        transaction.execute("INSERT INTO t VALUES (1)", [])?;
        std::mem::forget(transaction);
        panic!("told to");
    })));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.send("")));
    assert!(caught.is_err());
    assert!(crate::testing::now().is_none());
    assert!(host.database("main").query("SELECT * FROM t", []).unwrap().is_empty());
    client.send("goes on");
    assert_eq!(seen(), ["1 says goes on"]);
}

#[test]
fn a_self_test_reads_and_leaves_nothing() {
    let host = builder().database("main").build();
    let client = client(&host);
    within(&client, |own| own.subscribe("t").unwrap());
    let refused = host.check().unwrap_err();
    assert!(refused.starts_with("database: denied: "), "{refused}");
    assert_eq!(log(&host), ["INFO  0 of 1 hear"]);
    host.advance(std::time::Duration::from_secs(1));
    assert_eq!(seen(), Vec::<String>::new(), "no timer is kept");
    within(&client, |_| Database::open("main")?.execute("CREATE TABLE t (a)", [])).unwrap();
}
