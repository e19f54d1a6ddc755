//! The whole host on one thread, with a virtual clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use hassock_frames::Payload;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::Dispatch;

use super::log::Log;
use super::socket::{self, Socket};
use super::{Answer, Connect, LogLine, Message, Publication, TestError};
use crate::app::connection::{Connection, Slot};
use crate::app::{App, HostContext, Observer, PublishOptions};
use crate::config::Config;
use crate::database::MAX_TOPIC;
use crate::deploy::{self, Control, Databases, Rollout};
use crate::external::ExternalWork;
use crate::handshake::Client;
use crate::host_state::{HostState, RoutingTable};
use crate::listen;
use crate::request::ClientAddress;
use crate::sim::Simulation;

/// Bytes in transit between a client and the host: about as many as the kernel buffers for a socket.
const ON_THE_WAY: usize = 64 << 10;

/// The authority of every request: there is no real one.
const AUTHORITY: &str = "localhost";

/// A simulated host, and the runtime that drives it. The runtime runs only while a method of this type does.
pub(super) struct InProcessHost {
    pub(super) sim: Arc<Simulation>,
    pub(super) control: Control,
    pub(super) databases: Databases,
    state: Arc<HostState>,
    next_port: AtomicU16,
    log: Log,
    dispatch: Dispatch,
    external: Arc<ExternalWork>,
    /// None once the host has ended.
    runtime: Option<Runtime>,
}

impl InProcessHost {
    /// Start a host for a config. Its clock begins at `now`, and random numbers follow from `seed`.
    pub(super) fn start(mut config: Config, now: SystemTime, seed: u64) -> Result<Rc<Self>, TestError> {
        // A test has no network, so a website cannot let its name refer to this host.
        config.hosts = None;
        let (log, external) = (Log::default(), Arc::new(ExternalWork::default()));
        let (dispatch, runtime) = (log.dispatch(), runtime(&external)?);
        let start = Box::pin(async {
            let sim = Arc::new(Simulation::new(now, seed));
            let context =
                HostContext { observer: Some(Observer::Simulation(Arc::clone(&sim))), ..HostContext::default() };
            let prepared = deploy::prepare(&config, &context).await?;
            let databases = prepared.databases.clone();
            let state = Arc::new(HostState::new(RoutingTable::new(&config, &prepared.apps), context));
            let control = Control::new(Arc::clone(&state), config, prepared);
            Ok::<_, TestError>((sim, control, databases, state))
        });
        // A self-test may sleep, and nothing else lets time pass meanwhile.
        let started = run(&runtime, &external, &dispatch, external.working(start));
        let (sim, control, databases, state) = match started {
            Ok(started) => started,
            Err(error) => {
                end(runtime, &external);
                return Err(log.explain(error));
            }
        };
        let next_port = AtomicU16::new(50_000);
        let runtime = Some(runtime);
        Ok(Rc::new(Self { sim, control, databases, state, next_port, log, dispatch, external, runtime }))
    }

    /// Do some work, and everything that follows from it. Time passes only if the work waits for that, as a self-test
    /// does that sleeps.
    pub(super) fn work<T>(&self, work: impl Future<Output = T>) -> T {
        // A deploy has all of the host in it: without optimisation each move of it would take that room on the stack.
        let work = Box::pin(work);
        self.run(async {
            let result = self.external.working(work).await;
            self.external.settled().await;
            result
        })
    }

    /// The same for work that is given up instead if it waits for time to pass.
    pub(super) fn work_at_once<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.run(async {
            let result = self.external.without_time(work).await;
            self.external.settled().await;
            result
        })
    }

    /// Run everything that can run without time passing.
    pub(super) fn settle(&self) {
        self.run(self.external.settled());
    }

    /// Let time pass, and run everything that becomes due meanwhile.
    pub(super) fn advance(&self, time: Duration) {
        self.run(async {
            self.external.passing(tokio::time::sleep(time)).await;
            self.external.settled().await;
        });
    }

    /// The time of the virtual clock.
    pub(super) fn now(&self) -> SystemTime {
        self.run(async { self.sim.clock.now() })
    }

    /// Connect a client.
    pub(super) fn connect(&self, connect: &Connect) -> Result<(Answer, Option<Socket>), TestError> {
        if let Some(id) = connect.id {
            self.state.next_id.fetch_max(id, Ordering::Relaxed);
        }
        // Time passes only if `open` waits for that.
        let answer = self.work(self.spawn_connection(connect.clone())).map_err(|error| TestError(error.to_string()))?;
        answer.map_err(TestError)
    }

    /// The id that was given last.
    pub(super) fn newest_id(&self) -> u64 {
        self.state.next_id.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A connection, if it is open.
    pub(super) fn connection(&self, id: u64) -> Option<Arc<Connection>> {
        self.control.apps().values().find_map(|app| app.connections.get(id))
    }

    fn spawn_connection(&self, connect: Connect) -> JoinHandle<Result<(Answer, Option<Socket>), String>> {
        let (ours, theirs) = tokio::io::duplex(ON_THE_WAY);
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let address = ClientAddress::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let client = Client { address, slot: Slot::default(), is_secure: false, is_resolved: true };
        let state = Arc::clone(&self.state);
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        tokio::spawn(async move { listen::serve(theirs, client, &state).await });
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

    /// Publish a message as another program does. Returns its position.
    pub(super) fn publish(&self, publication: &Publication) -> Result<Option<String>, TestError> {
        let app = self.app(publication.app.as_deref())?;
        let topic = &publication.topic;
        if !(1..=MAX_TOPIC).contains(&topic.len()) {
            return Err(TestError(format!("a topic has 1 to {MAX_TOPIC} bytes, and not {}", topic.len())));
        }
        let payload = match &publication.message {
            Message::Text(text) => Payload::text(text),
            Message::Binary(bytes) => Payload::binary(bytes),
        };
        let options = PublishOptions { id: publication.id.as_deref(), ..PublishOptions::default() };
        let published = self.work(app.publish(topic, payload, options));
        let published = published.map_err(|error| TestError(error.to_string()))?;
        Ok(published.position.map(|position| position.to_string()))
    }

    /// Drop the idle instances of an app.
    pub(super) fn drop_instances(&self, app: Option<&str>) -> Result<(), TestError> {
        let app = self.app(app)?;
        self.work(async { app.setup().pool.drop_idle() });
        Ok(())
    }

    /// Take the lines of the log since the last time.
    pub(super) fn take_log(&self) -> Vec<LogLine> {
        self.log.take()
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => run(runtime, &self.external, &self.dispatch, work),
            None => unreachable!("the runtime is there until the host is dropped"),
        }
    }
}

impl Drop for InProcessHost {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        {
            // What is dropped now may spawn tasks, which then never run.
            let _entered = runtime.enter();
            self.state.draining.cancel();
            self.databases.clear();
        }
        end(runtime, &self.external);
    }
}

/// A runtime of one thread with a paused clock.
fn runtime(external: &Arc<ExternalWork>) -> Result<Runtime, TestError> {
    // A runtime cannot wait for another one.
    if tokio::runtime::Handle::try_current().is_ok() {
        let hint = "a TestHost has a runtime of its own with a paused clock; use it in a plain `#[test]`, not in a \
                    `#[tokio::test]`";
        return Err(TestError(hint.to_owned()));
    }
    let ask = Arc::clone(external);
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        // It is random when another thread finishes. What waits for it resumes after all tasks that can run here.
        .global_queue_interval(u32::MAX)
        .on_thread_park(move || ask.about_to_park())
        .build()
        .map_err(|error| TestError(format!("the runtime cannot be made: {error}")))
}

fn run<T>(runtime: &Runtime, external: &Arc<ExternalWork>, dispatch: &Dispatch, work: impl Future<Output = T>) -> T {
    let _here = external.enter();
    tracing::dispatcher::with_default(dispatch, || runtime.block_on(work))
}

fn end(runtime: Runtime, external: &ExternalWork) {
    external.end();
    runtime.shutdown_background();
}
