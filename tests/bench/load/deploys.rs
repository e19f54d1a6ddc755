//! What else may happen on the machine while clients send.

use std::env;
use std::process::{Child, Command};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hassock_tests::{app, guest, marked};
use tempfile::NamedTempFile;

use super::{Clients, Load, Round};
use crate::component::enlarged;
use crate::server::Cores;

/// Bytes of the component that is compiled.
const LARGE: usize = 10_000_000;

/// Clients as those of [`Paced`](super::Paced), and something that may disturb them.
pub struct Deploys {
    pub clients: Clients,
    pub disturbance: Disturbance,
    /// How many rounds there were.
    pub rounds: u32,
}

#[derive(Clone, Copy)]
pub enum Disturbance {
    /// The module is swapped without pause.
    Swaps,
    /// A large component is compiled.
    Compile,
    /// Another program computes on the same cores, at the lowest priority. It shows how much any work there disturbs.
    Neighbour,
}

impl Deploys {
    /// The path of the app that is deployed.
    pub const PATH: &str = "/marked";

    /// The config of the host.
    pub fn config() -> String {
        // Without a cache, because compiling is measured.
        format!("{}[cache]\nbytes = 0\n", app("marked", &guest("marked")))
    }

    async fn disturbed(&mut self) -> Round {
        let mut clients = self.clients.lock().await;
        self.rounds += 1;
        let times = match self.disturbance {
            Disturbance::Swaps => {
                clients.server.tell("swap marked");
                assert_eq!(clients.server.answer(), "swapping");
                let times = clients.run().await;
                clients.server.tell("stop");
                let swaps: u32 = clients.server.answer().parse().expect("a number");
                assert_ne!(swaps, 0, "there was no swap");
                times
            }
            Disturbance::Compile => {
                let file = NamedTempFile::new().expect("a file");
                std::fs::write(&file, enlarged(&marked("large"), LARGE, self.rounds)).expect("a module");
                clients.server.tell(&format!("deploy {}", file.path().display()));
                let times = clients.run().await;
                // A round is shorter than the compile, so that all of it is disturbed.
                assert_eq!(clients.server.answer(), "deployed");
                times
            }
            Disturbance::Neighbour => {
                let mut neighbour = neighbour();
                let times = clients.run().await;
                neighbour.kill().and_then(|()| neighbour.wait()).expect("the end of the neighbour");
                times
            }
        };
        Round::of_times(times)
    }
}

impl Load for Deploys {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        self.disturbed().boxed_local()
    }
}

/// This program once more, on the cores of the server and at the lowest priority.
fn neighbour() -> Child {
    let mut command = Command::new("taskset");
    command
        .args(["-c", &Cores::Both.list(), "nice", "-n", "19"])
        .arg(env::current_exe().expect("this program"))
        .arg("--count");
    command.spawn().expect("a neighbour")
}
