//! What a test stands on: the whole host on one thread, whose time stands still.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::Dispatch;

use super::TestError;
use super::log::Log;
use super::socket::{self, Socket};
use super::types::{Answer, Connect, LogLine};
use crate::app::connection::Connection;
use crate::app::{App, HostContext};
use crate::config::Config;
use crate::deploy::{self, Control, Databases, Prepared, Rollout};
use crate::external::ExternalWork;
use crate::host_state::{HostState, RoutingTable};
use crate::listen;
use crate::sim::Lab;

/// Bytes on their way between a client and the host: about what the kernel keeps for a socket.
const ON_THE_WAY: usize = 64 << 10;

/// The authority of every request: there is no real one.
const AUTHORITY: &str = "localhost";

/// A host in a laboratory.
pub(super) struct Stand {
    pub(super) lab: Arc<Lab>,
    pub(super) control: Control,
    pub(super) databases: Databases,
    state: Arc<HostState>,
    next_port: AtomicU16,
    log: Log,
    // Last: what is dropped before may want to spawn tasks.
    ground: Ground,
}

/// The runtime, and what it needs to know while it runs.
struct Ground {
    runtime: Option<Runtime>,
    external: Arc<ExternalWork>,
    dispatch: Dispatch,
}

impl Stand {
    /// Start a host for a config. It is `now` there, and random numbers follow from `seed`.
    pub(super) fn start(config: Config, now: SystemTime, seed: u64) -> Result<Rc<Self>, TestError> {
        let log = Log::default();
        let ground = Ground::new(log.dispatch())?;
        let start = async {
            let lab = Arc::new(Lab::new(now, seed));
            let context = HostContext { lab: Some(Arc::clone(&lab)), ..HostContext::default() };
            let Prepared { engine, apps, databases } = deploy::prepare(&config, &context).await?;
            let state = Arc::new(HostState::new(RoutingTable::new(&config, &apps), context));
            let control = Control::new(engine, Arc::clone(&state), config, apps, databases.clone());
            let next_port = AtomicU16::new(50_000);
            Ok::<_, TestError>((lab, control, databases, state, next_port))
        };
        // A self-test may sleep: nothing else lets time pass meanwhile.
        let started = ground.run(ground.external.working(start)).map_err(|error| log.explain(error));
        let (lab, control, databases, state, next_port) = started?;
        Ok(Rc::new(Self { lab, control, databases, state, next_port, log, ground }))
    }

    /// Do some work, and let everything happen that follows from it. Time passes only if the work waits for
    /// that, as a self-test does that sleeps.
    pub(super) fn work<T>(&self, work: impl Future<Output = T>) -> T {
        let external = &self.ground.external;
        self.ground.run(async {
            let result = external.working(work).await;
            external.settled().await;
            result
        })
    }

    /// The same for work that is given up instead if it waits for time to pass.
    pub(super) fn work_at_once<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let external = &self.ground.external;
        self.ground.run(async {
            let result = external.without_time(work).await;
            external.settled().await;
            result
        })
    }

    /// Let everything happen that can happen without time passing.
    pub(super) fn settle(&self) {
        self.ground.run(self.ground.external.settled());
    }

    /// Let time pass, and everything happen that is due meanwhile.
    pub(super) fn advance(&self, time: Duration) {
        let external = &self.ground.external;
        self.ground.run(async {
            external.passing(tokio::time::sleep(time)).await;
            external.settled().await;
        });
    }

    /// What time it is there.
    pub(super) fn now(&self) -> SystemTime {
        self.ground.run(async { self.lab.clock.now() })
    }

    /// Have a client ask for a connection.
    pub(super) fn connect(&self, connect: &Connect) -> Result<(Answer, Option<Socket>), TestError> {
        if let Some(id) = connect.id {
            self.state.next_id.fetch_max(id, Ordering::Relaxed);
        }
        // Time passes only if `open` waits for that.
        let answer = self.work(self.spawn_connection(connect.clone())).map_err(|error| TestError(error.to_string()))?;
        answer.map_err(TestError)
    }

    /// The connection that was opened last.
    pub(super) fn newest_connection(&self) -> Option<Arc<Connection>> {
        let id = self.state.next_id.load(Ordering::Relaxed).checked_sub(1)?;
        self.control.apps().values().find_map(|app| app.connections.get(id))
    }

    fn spawn_connection(&self, connect: Connect) -> JoinHandle<Result<(Answer, Option<Socket>), String>> {
        let (ours, theirs) = tokio::io::duplex(ON_THE_WAY);
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let state = Arc::clone(&self.state);
        let _entered = self.ground.runtime.as_ref().map(Runtime::enter);
        tokio::spawn(async move { listen::serve(theirs, peer, &state).await });
        tokio::spawn(async move { socket::connect(ours, AUTHORITY, &connect).await })
    }

    /// Deploy a component.
    pub(super) fn swap(&self, app: Option<&str>, file: &Path) -> Result<(), TestError> {
        let app = self.app(app)?;
        let module = std::fs::read(file)
            .map_err(|error| TestError(format!("cannot read the module {}: {error}", file.display())))?;
        let outcome = self.work(self.control.deploy(&app.name, module, Rollout::Full));
        outcome.map(drop).map_err(|error| TestError(error.to_string()))
    }

    /// An app by its name, or the only one.
    pub(super) fn app(&self, name: Option<&str>) -> Result<Arc<App>, TestError> {
        let apps = self.control.apps();
        let names = || apps.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let found = match name {
            Some(name) => apps.get(name),
            None => apps.values().next().filter(|_| apps.len() == 1),
        };
        found.cloned().ok_or_else(|| match name {
            Some(name) => TestError(format!("there is no app `{name}`; there is {}", names())),
            None => TestError(format!("say which app: there are {}", names())),
        })
    }

    /// Drop the idle instances of an app.
    pub(super) fn drop_instances(&self, app: Option<&str>) -> Result<(), TestError> {
        let app = self.app(app)?;
        self.work(async { app.setup().pool.drop_idle() });
        Ok(())
    }

    /// The lines of the log since this was asked last.
    pub(super) fn take_log(&self) -> Vec<LogLine> {
        self.log.take()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // What is dropped now may want to spawn tasks, which then never run.
        let _entered = self.ground.runtime.as_ref().map(Runtime::enter);
        self.state.draining.cancel();
        self.databases.clear();
    }
}

impl Ground {
    fn new(dispatch: Dispatch) -> Result<Self, TestError> {
        // A runtime cannot wait for another one.
        if tokio::runtime::Handle::try_current().is_ok() {
            let hint = "a TestHost has a runtime of its own, whose time stands still; use it in a plain `#[test]`, \
                        not in a `#[tokio::test]`";
            return Err(TestError(hint.to_owned()));
        }
        let external = Arc::new(ExternalWork::default());
        let ask = Arc::clone(&external);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            // When another thread is done is chance. Who waited for it goes on after all who can go on here, not amid them.
            .global_queue_interval(u32::MAX)
            .on_thread_park(move || ask.about_to_park())
            .build()
            .map_err(|error| TestError(format!("there is no runtime: {error}")))?;
        Ok(Self { runtime: Some(runtime), external, dispatch })
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let _here = self.external.enter();
        match &self.runtime {
            Some(runtime) => tracing::dispatcher::with_default(&self.dispatch, || runtime.block_on(work)),
            None => unreachable!("it is there until this is dropped"),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.external.end();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
