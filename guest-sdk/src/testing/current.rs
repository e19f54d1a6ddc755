//! Selects the host that a call's imports use. A test is one thread, and a call enters its host for its duration, so
//! two hosts in one test do not mix.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use super::state::State;
use crate::log::Level;

/// A host's state. It is never borrowed while code of the module or of the test runs.
pub(super) type World = Rc<RefCell<State>>;

thread_local! {
    /// The innermost host is last: the script of a database may call another host.
    static INSIDE: RefCell<Vec<World>> = const { RefCell::new(Vec::new()) };
}

/// Until this is dropped, imports are those of the host that was entered.
pub(super) struct Inside(World);

/// Enter a host for the duration of a call.
pub(super) fn enter(world: &World) -> Inside {
    INSIDE.with_borrow_mut(|inside| inside.push(Rc::clone(world)));
    Inside(Rc::clone(world))
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
        // A handler that panics unwinds through here, perhaps out of a borrow.
        if let Ok(state) = self.0.try_borrow() {
            state.databases.values().for_each(|database| database.end_call());
        }
    }
}

/// The state of the host that runs the current call.
pub(super) fn state<T>(import: &str, look: impl FnOnce(&mut State) -> T) -> T {
    match INSIDE.with_borrow(|inside| inside.last().cloned()) {
        Some(world) => look(&mut world.borrow_mut()),
        None => panic!(
            "`{import}` needs a host, and this is outside of any: make one with \
            `hassock_sdk::testing::MockHost`, and have its clients cause the calls of the handler"
        ),
    }
}

/// Write a line into the log of the host that runs the current call. A library may also log outside of any host: such a
/// line is only printed.
pub(crate) fn log(level: Level, line: &str) {
    match INSIDE.with_borrow(|inside| inside.last().cloned()) {
        Some(world) => world.borrow_mut().log(level, line),
        None => println!("log: {level}: {line}"),
    }
}

/// The time of the host that runs the current call.
pub(crate) fn now() -> Option<SystemTime> {
    INSIDE.with_borrow(|inside| inside.last().map(|world| world.borrow_mut().read_clock()))
}
