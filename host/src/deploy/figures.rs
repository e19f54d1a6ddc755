//! What a running host keeps and has counted, for metrics.

use super::Control;
use crate::api_counts::ApiReport;
use crate::app::AppFigures;
use crate::database::DatabaseReport;
use crate::memory_budget::MemoryReport;

/// What the host keeps and has counted beside its apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFigures {
    /// What the memory budget is used for.
    pub memory: MemoryReport,
    /// How the handshakes ended that reached no app.
    pub handshakes: Vec<(&'static str, u64)>,
    /// How many spans were sent, and how many were lost. Empty without traces.
    pub spans: Vec<(&'static str, u64)>,
    /// Connections of all apps.
    pub connections: usize,
    /// The most connections.
    pub connections_limit: usize,
}

/// What passes through the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiFigures {
    /// What was counted.
    pub(crate) report: ApiReport,
    /// The most connections.
    pub(crate) connections_limit: usize,
}

impl Control {
    /// What passes through the API, if there is one.
    pub(crate) fn api_figures(&self) -> Option<ApiFigures> {
        let connections_limit = self.config().api.as_ref()?.max_connections;
        Some(ApiFigures { report: self.0.state.api.report(), connections_limit })
    }

    /// What each app keeps and has counted.
    pub fn app_figures(&self) -> Vec<AppFigures> {
        self.serving().apps.values().map(|app| app.figures()).collect()
    }

    /// The statements and the pools of each database.
    pub fn database_reports(&self) -> Vec<DatabaseReport> {
        self.serving().databases.values().map(|database| database.report()).collect()
    }

    /// What the host keeps and has counted beside its apps.
    pub fn host_figures(&self) -> HostFigures {
        let state = &self.0.state;
        HostFigures {
            memory: state.context.memory.report(),
            handshakes: state.handshakes.report(),
            spans: state.context.traces().map(|traces| traces.report().to_vec()).unwrap_or_default(),
            connections: self.serving().apps.values().map(|app| app.connections.len()).sum(),
            connections_limit: state.routing().limits.max_connections,
        }
    }
}
