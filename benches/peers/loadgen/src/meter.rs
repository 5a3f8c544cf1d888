//! The measured window: what was done in it, how long each took, and what it cost the subject.

use crate::proc;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};

/// Where latencies are told.
const QUANTILES: [f64; 9] = [0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];
const LONGEST: u64 = 60_000_000_000;

#[derive(Clone, Copy, clap::Args)]
pub struct Window {
    /// Measured seconds.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Seconds before them.
    #[arg(long, default_value_t = 0.3)]
    pub warmup: f64,
    /// The process whose CPU time and memory are told.
    #[arg(long)]
    pub pid: Option<u32>,
}

/// CPU times at one moment.
#[derive(Clone, Copy, Default)]
struct Cpu {
    subject: Duration,
    load: Duration,
    machine: f64,
}

impl Cpu {
    fn now(pid: Option<u32>) -> io::Result<Self> {
        Ok(Self {
            subject: pid.map_or(Ok(Duration::ZERO), proc::cpu_time)?,
            load: proc::cpu_time(std::process::id())?,
            machine: proc::machine_busy()?,
        })
    }
}

#[derive(Serialize)]
pub struct Report {
    seconds: f64,
    /// Operations: requests, connections or megabytes.
    count: f64,
    /// Operations a second.
    rate: f64,
    /// The subject's CPU time for one operation.
    cpu_us: f64,
    /// CPUs used: by the subject, by this process, by all others (1 is one CPU).
    cpu: f64,
    load_cpu: f64,
    others_cpu: f64,
    /// The subject's most memory.
    peak_kib: u64,
    /// (quantile, microseconds).
    latency_us: Vec<(f64, f64)>,
}

enum Phase {
    WarmUp,
    Open { since: Instant, cpu: Cpu },
}

pub struct Meter {
    window: Window,
    begun: Instant,
    phase: Phase,
    count: f64,
    latencies: Histogram<u64>,
}

impl Meter {
    pub fn new(window: Window) -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST, 3);
        Self {
            window,
            begun: Instant::now(),
            phase: Phase::WarmUp,
            count: 0.0,
            latencies: latencies.expect("the bounds are sensible"),
        }
    }

    pub fn operation(&mut self, latency: Duration) {
        self.amount(1.0);
        // Only what takes longer than a minute is refused.
        let _ = self.latencies.record(latency.as_nanos() as u64);
    }

    /// Of something that has no latency.
    pub fn amount(&mut self, amount: f64) {
        self.count += amount;
    }

    /// To be asked after each wait. True: the window is over.
    pub fn is_over(&mut self) -> io::Result<bool> {
        match self.phase {
            Phase::WarmUp => {
                if self.begun.elapsed().as_secs_f64() >= self.window.warmup {
                    self.count = 0.0;
                    self.latencies.reset();
                    self.phase = Phase::Open {
                        cpu: Cpu::now(self.window.pid)?,
                        since: Instant::now(),
                    };
                }
                Ok(false)
            }
            Phase::Open { since, .. } => Ok(since.elapsed().as_secs_f64() >= self.window.seconds),
        }
    }

    /// How long a wait may take: no longer than to the window's next edge, roughly.
    pub fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    pub fn report(self) -> io::Result<Report> {
        let Phase::Open { since, cpu: before } = self.phase else {
            return Err(io::Error::other("the window never opened"));
        };
        let seconds = since.elapsed().as_secs_f64();
        let after = Cpu::now(self.window.pid)?;
        if self.count == 0.0 {
            return Err(io::Error::other("nothing came back in the measured window"));
        }
        let subject = (after.subject - before.subject).as_secs_f64();
        let load = (after.load - before.load).as_secs_f64();
        let others = after.machine - before.machine - subject - load;
        let at = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Report {
            seconds,
            count: self.count,
            rate: self.count / seconds,
            cpu_us: subject * 1e6 / self.count,
            cpu: subject / seconds,
            load_cpu: load / seconds,
            others_cpu: others.max(0.0) / seconds,
            peak_kib: self
                .window
                .pid
                .map_or(Ok(0), |pid| proc::memory(pid, "VmHWM"))?,
            latency_us: QUANTILES
                .map(|quantile| (quantile, at(quantile)))
                .into_iter()
                .filter(|_| !self.latencies.is_empty())
                .collect(),
        })
    }
}
