//! What the system knows of the process, under the names that Prometheus has for it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

#[derive(Debug)]
pub(super) struct Scrape;

impl Collector for Scrape {
    /// Without the figures that the system does not tell.
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        linux::encode(encoder)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;

    use procfs::process::{LimitValue, Process, Stat};
    use procfs::{CurrentSI, ProcResult, WithCurrentSystemInfo};
    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::MetricType;
    use prometheus_client::metrics::counter::ConstCounter;

    use super::super::family::Family;

    pub(super) fn encode(mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(process) = Process::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            times(&stat, &mut encoder)?;
        }
        let sample = |value: usize| [(vec![], value)];
        if let Ok(open) = process.fd_count() {
            Family::new("process_open_fds", "Open file descriptors.").gauges(&mut encoder, sample(open))?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Family::new("process_max_fds", "The most open file descriptors.").gauges(&mut encoder, sample(most))?;
        }
        Ok(())
    }

    fn times(stat: &Stat, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ticks = procfs::ticks_per_second() as f64;
        let cpu = (stat.utime + stat.stime) as f64 / ticks;
        let family = Family::seconds("process_cpu", "User and system CPU time.");
        family
            .each(encoder, MetricType::Counter, [(vec![], cpu)], |cpu, sample| ConstCounter::new(cpu).encode(sample))?;
        let resident = usize::try_from(stat.rss_bytes().get()).unwrap_or(usize::MAX);
        let help = "Memory that is resident.";
        Family::bytes("process_resident_memory", help).gauges(encoder, [(vec![], resident)])?;
        if let Ok(began) = began(stat, ticks) {
            let help = "When the process began, since 1970.";
            Family::seconds("process_start_time", help).fractions(encoder, [(vec![], began)])?;
        }
        Ok(())
    }

    /// In seconds since 1970.
    fn began(stat: &Stat, ticks: f64) -> ProcResult<f64> {
        let boot = procfs::KernelStats::current()?.btime;
        Ok(boot as f64 + stat.starttime as f64 / ticks)
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use std::fmt;

    use prometheus_client::encoding::DescriptorEncoder;

    pub(super) fn encode(_: DescriptorEncoder<'_>) -> fmt::Result {
        Ok(())
    }
}
