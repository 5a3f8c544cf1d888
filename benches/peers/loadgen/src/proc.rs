//! What /proc says of a process and of the machine.

use std::fs;
use std::io;
use std::time::Duration;

/// Ticks in a second, of /proc/stat: fixed by Linux's interface to user space.
const TICKS: f64 = 100.0;

fn odd(what: &str) -> io::Error {
    io::Error::other(format!("{what} is not as expected"))
}

/// CPU time of all threads that live now, to the nanosecond (/proc/PID/stat counts in hundredths of a second).
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let time = text
            .split(' ')
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        total += time.ok_or_else(|| odd("schedstat"))?;
    }
    Ok(Duration::from_nanos(total))
}

/// A line of /proc/PID/status, in KiB: "VmRSS" (now) or "VmHWM" (most ever).
pub fn memory(pid: u32, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| *found == name)
        .and_then(|(_, value)| value.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| odd(name))
}

/// Seconds that all CPUs of the machine were busy, stolen ones too, since it started.
pub fn machine_busy() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().ok_or_else(|| odd("/proc/stat"))?;
    let ticks: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let [user, nice, system, _idle, _wait, irq, softirq, steal, ..] = ticks[..] else {
        return Err(odd("/proc/stat"));
    };
    Ok((user + nice + system + irq + softirq + steal) as f64 / TICKS)
}
