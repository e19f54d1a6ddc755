//! Invariant 4, for everything that a client or a module may try: a hundred connections of another app of the same
//! host, or of the same app if a client attacks it, get all their answers in order meanwhile, and none is closed.

use std::time::Duration;

use clap::ValueEnum;
use hassock_tests::{Attack, AttackedHost, Bystanders, binary};

/// Messages of all bystanders together in a second.
const PER_SECOND: u32 = 2_000;

/// How many answers each bystander gets during an attack: about a second's.
const ANSWERS: u64 = 20;

/// Carry out an attack. Its effect is seen before and after the time in which the bystanders are observed.
async fn contain(attack: Attack) {
    let host = AttackedHost::start(&[binary().display().to_string()]).await;
    let mut bystanders = Bystanders::start(&host.address, AttackedHost::ECHO, PER_SECOND).await;
    bystanders.get_answers(1).await;
    let mut attackers = attack.start(&host.address, Duration::ZERO);
    attackers.harm_at_least(1).await;
    bystanders.get_answers(ANSWERS).await;
    attackers.harm_at_least(attackers.harm() + 1).await;
    let harm = attackers.stop().await;
    bystanders.stop().await;
    let failures = host.failures().await;
    assert!(!attack.is_failure() || failures >= harm, "{failures} failures are counted, and there were {harm}");
    host.stop().await;
}

/// A test for each attack, and a list of the attacks.
macro_rules! contain {
    ($(fn $name:ident() { $attack:ident })*) => {
        pub(super) const ATTACKS: &[hassock_tests::Attack] = &[$(hassock_tests::Attack::$attack),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::contain(hassock_tests::Attack::$attack).await;
            }
        )*
    };
}

mod clients;
mod modules;

/// Each attack that the benchmark knows has a test.
#[test]
fn every_attack_is_contained() {
    let tested = [modules::ATTACKS, clients::ATTACKS].concat();
    let missing: Vec<_> = Attack::value_variants().iter().filter(|attack| !tested.contains(attack)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
