//! The host, which reads orders from its standard input, line by line.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hassock::commands::dev::{self, DevArgs};
use hassock::deploy::Rollout;
use hassock_tests::{TestHost, app, app_with_database, example, guest, marked};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};

/// Serve until the process is killed.
pub(super) async fn run(config: Option<PathBuf>) {
    let config = config.map_or_else(default_config, |file| fs::read_to_string(file).expect("the config"));
    let host = TestHost::start(&config).await;
    println!("{}", host.address());
    let mut orders = BufReader::new(stdin()).lines();
    loop {
        let order = orders.next_line().await.expect("an order");
        match order.as_deref().unwrap_or_default().split_once(' ') {
            Some(("swap", app)) => println!("{}", swap_until_told(&host, app, &mut orders).await),
            Some(("deploy", file)) => {
                deploy(&host, "marked", fs::read(file).expect("a module")).await;
                println!("deployed");
            }
            // Somebody started it by hand.
            _ => std::future::pending().await,
        }
    }
}

/// `hassock dev`
pub(super) async fn develop(dir: PathBuf) {
    let listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    dev::run(DevArgs { dir, listen }).await.expect("hassock dev");
}

/// An app for each load. Without pings to clients that only listen.
fn default_config() -> String {
    // A few instances, because callgrind cannot reserve the address space of many.
    let limits = "[limits]\nmax_connections = 20000\nconnections_per_address = 20000\nmax_instances = 4\n";
    let instances = |app: &str| format!("[apps.{app}.limits]\ninstances = 1\nkeepalive = \"1h\"\n");
    let echo = app("echo", &example("echo")) + &instances("echo");
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:") + &instances("probe");
    format!("{limits}{echo}{probe}")
}

async fn deploy(host: &TestHost, app: &str, module: Vec<u8>) {
    host.host.control().deploy(app, module, Rollout::Full).await.expect("a deploy");
}

/// Deploy two versions in turns, each through the whole gate, until the next order. Returns how many.
async fn swap_until_told(host: &TestHost, app: &str, orders: &mut Lines<BufReader<Stdin>>) -> u64 {
    let versions = [marked("one"), marked("two")];
    // Now, so that they are compiled.
    for version in &versions {
        deploy(host, app, version.clone()).await;
    }
    println!("swapping");
    let mut swaps = 0;
    let mut told = std::pin::pin!(orders.next_line());
    loop {
        let version = versions[swaps as usize % 2].clone();
        tokio::select! {
            biased;
            _ = &mut told => return swaps,
            () = deploy(host, app, version) => {}
        }
        swaps += 1;
    }
}
