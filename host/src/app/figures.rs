//! What an app keeps at this moment, for metrics. Looking costs as much as the app has connections, so only a scrape does.

use super::App;
use super::topics::HistoryReport;
use super::traffic::TrafficReport;

/// The figures of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFigures {
    /// The app.
    pub app: String,
    /// How its handshakes ended.
    pub handshakes: Vec<(&'static str, u64)>,
    /// What has passed between clients and module.
    pub traffic: TrafficReport,
    /// Connections that have ended, and whose `closed` has not returned.
    pub ending: usize,
    /// Topics with subscribers.
    pub topics: usize,
    /// Subscriptions of connections to topics.
    pub subscriptions: usize,
    /// What topics keep.
    pub history: HistoryReport,
    /// Timers that are set.
    pub timers: usize,
    /// Instances that exist.
    pub instances: usize,
    /// The most that may exist.
    pub instances_limit: usize,
    /// Calls that run now.
    pub calls: usize,
    /// Bytes that wait in the outboxes of all connections.
    pub outbox_bytes: usize,
    /// How full the fullest outbox is, in percent.
    pub fullest_outbox: u8,
}

impl App {
    /// The figures of the app as they are now.
    pub fn figures(&self) -> AppFigures {
        let (mut outbox_bytes, mut fullest_outbox) = (0, 0);
        self.connections.each(|connection| {
            let (bytes, fullness) = connection.outbox.filling();
            outbox_bytes += bytes;
            fullest_outbox = fullest_outbox.max(fullness);
        });
        let (topics, subscriptions) = self.topics.count();
        let setup = self.setup();
        AppFigures {
            app: self.name.to_string(),
            handshakes: self.handshakes.report(),
            traffic: self.traffic.report(),
            ending: self.ending(),
            topics,
            subscriptions,
            history: self.topics.report(),
            timers: self.timers.count(),
            instances: setup.pool.instances(),
            instances_limit: setup.pool.most(),
            calls: setup.pool.calls(),
            outbox_bytes,
            fullest_outbox,
        }
    }
}
