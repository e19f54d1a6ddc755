//! Metrics of apps: handshakes, traffic, and what is used of their bounds.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Labels};
use crate::app::AppFigures;

#[derive(Debug)]
pub(super) struct Scrape(pub(super) Vec<AppFigures>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.handshakes(&mut encoder)?;
        self.traffic(&mut encoder)?;
        self.histories(&mut encoder)?;
        self.bounds(&mut encoder)
    }
}

impl Scrape {
    fn handshakes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let outcomes = self.0.iter().flat_map(|app| {
            app.handshakes
                .iter()
                .map(|(outcome, count)| (vec![("app", app.app.as_str()), ("outcome", *outcome)], *count))
        });
        Family::new("handshakes", "Handshakes, by how they ended.").counters(encoder, outcomes)
    }

    fn traffic(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        Family::new("messages_received", "Messages that clients have sent.")
            .counters(encoder, self.of(|app| app.traffic.received_messages))?;
        Family::bytes("received", "The payloads of messages that clients have sent.")
            .counters(encoder, self.of(|app| app.traffic.received_bytes))?;
        let help = "Messages that were queued for clients. A published message counts for each subscriber.";
        Family::new("messages_sent", help).counters(encoder, self.of(|app| app.traffic.sent_messages))?;
        Family::bytes("sent", "The payloads of messages that were queued for clients.")
            .counters(encoder, self.of(|app| app.traffic.sent_bytes))?;
        let closes = self.0.iter().flat_map(|app| {
            let labels = |by, code| vec![("app", app.app.as_str()), ("by", by), ("code", code)];
            app.traffic.closed.iter().map(move |(by, code, count)| (labels(*by, code.as_str()), *count))
        });
        Family::new("closes", "Connections that have ended, by the side that closed and the code.")
            .counters(encoder, closes)?;
        Family::new("slow_clients", "Connections that ended because their client did not read.")
            .counters(encoder, self.of(|app| app.traffic.slow))?;
        Family::new("away_connections", "Connections whose clients are away, and may come back within `resume_for`.")
            .gauges(encoder, self.of(|app| app.traffic.away))
    }

    fn histories(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        Family::new("history_messages", "Messages that topics keep.")
            .gauges(encoder, self.of(|app| app.history.messages))?;
        Family::bytes("history", "What topics keep, as `history_bytes` counts it.")
            .gauges(encoder, self.of(|app| app.history.bytes))?;
        let trimmed = self.0.iter().flat_map(|app| by(app, "reason", &app.history.trimmed));
        Family::new("history_trimmed", "Messages that topics do not keep any more, by the bound that they exceeded.")
            .counters(encoder, trimmed)?;
        let outcomes = self.0.iter().flat_map(|app| {
            let recovered = (vec![("app", app.app.as_str()), ("outcome", "recovered")], app.history.recovered);
            by(app, "outcome", &app.history.gaps).chain([recovered].into_iter().filter(|(_, count)| *count > 0))
        });
        let help =
            "Subscriptions that continued at a position: everything after it was there, or the reason for a gap.";
        Family::new("recoveries", help).counters(encoder, outcomes)
    }

    fn bounds(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        Family::new("ending_connections", "Connections that have ended, and whose `closed` has not returned.")
            .gauges(encoder, self.of(|app| app.ending))?;
        Family::new("topics", "Topics with subscribers, or of which something is kept.")
            .gauges(encoder, self.of(|app| app.topics))?;
        Family::new("subscriptions", "Subscriptions of connections to topics.")
            .gauges(encoder, self.of(|app| app.subscriptions))?;
        Family::new("timers", "Timers that are set.").gauges(encoder, self.of(|app| app.timers))?;
        Family::new("instances", "Instances that exist, idle or in a call.")
            .gauges(encoder, self.of(|app| app.instances))?;
        Family::new("instances_limit", "The most instances: `instances`.")
            .gauges(encoder, self.of(|app| app.instances_limit))?;
        Family::new("running_calls", "Calls that run now.").gauges(encoder, self.of(|app| app.calls))?;
        Family::bytes("outbox", "What waits in the outboxes of all connections.")
            .gauges(encoder, self.of(|app| app.outbox_bytes))?;
        Family::new("fullest_outbox_ratio", "How full the fullest outbox is, 0 to 1.")
            .fractions(encoder, self.of(|app| f64::from(app.fullest_outbox) / 100.0))
    }

    /// One value of each app.
    fn of<'a, T>(&'a self, value: impl Fn(&'a AppFigures) -> T) -> impl Iterator<Item = (Labels<'a>, T)> {
        self.0.iter().map(move |app| (vec![("app", app.app.as_str())], value(app)))
    }
}

/// Counts of an app by one label.
fn by<'a>(
    app: &'a AppFigures,
    label: &'static str,
    counts: &'a [(&'static str, u64)],
) -> impl Iterator<Item = (Labels<'a>, u64)> {
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    counts.map(move |(value, count)| (vec![("app", app.app.as_str()), (label, *value)], *count))
}
