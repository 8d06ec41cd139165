//! What Linux tells of a process and of TCP: CPU time, memory, context switches.
//!
//! Invariant: what cannot be read counts as 0 and `alive` says so; nothing here fails. proc(5).

use std::fs;
use std::path::Path;

/// Numbers of one or more processes, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processes that could be read.
    pub alive: u32,
    /// CPU time in the program, milliseconds.
    pub user_ms: u64,
    /// CPU time in the kernel, milliseconds.
    pub system_ms: u64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Context switches because there was nothing to do.
    pub switches_own: u64,
    /// Context switches because others wanted the core.
    pub switches_forced: u64,
}

impl Usage {
    /// Reads these processes now.
    #[must_use]
    pub fn of(pids: &[u32]) -> Self {
        let mut sum = Self::default();
        for pid in pids {
            sum.add(Path::new(&format!("/proc/{pid}")));
        }
        sum
    }

    /// Reads this process now.
    #[must_use]
    pub fn own() -> Self {
        let mut own = Self::default();
        own.add(Path::new("/proc/self"));
        own
    }

    /// CPU time of both sorts, milliseconds.
    #[must_use]
    pub fn cpu_ms(&self) -> u64 {
        self.user_ms + self.system_ms
    }

    /// What was used since `before`; memory is as it is now.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            alive: self.alive,
            user_ms: self.user_ms.saturating_sub(before.user_ms),
            system_ms: self.system_ms.saturating_sub(before.system_ms),
            rss_bytes: self.rss_bytes,
            switches_own: self.switches_own.saturating_sub(before.switches_own),
            switches_forced: self.switches_forced.saturating_sub(before.switches_forced),
        }
    }

    fn add(&mut self, process: &Path) {
        let Some((user, system)) = text(&process.join("stat")).as_deref().and_then(ticks) else {
            return;
        };
        self.alive += 1;
        self.user_ms += user * MS_PER_TICK;
        self.system_ms += system * MS_PER_TICK;
        let status = text(&process.join("status")).unwrap_or_default();
        self.rss_bytes += field(&status, "VmRSS:") << 10;
        let Ok(threads) = fs::read_dir(process.join("task")) else {
            return;
        };
        for thread in threads.flatten() {
            let status = text(&thread.path().join("status")).unwrap_or_default();
            self.switches_own += field(&status, "voluntary_ctxt_switches:");
            self.switches_forced += field(&status, "nonvoluntary_ctxt_switches:");
        }
    }
}

/// Bytes that TCP buffers of the whole machine occupy.
#[must_use]
pub fn tcp_bytes() -> u64 {
    let all = text(Path::new("/proc/net/sockstat")).unwrap_or_default();
    tcp_pages(&all) * PAGE_BYTES
}

/// Open files a process may have, if it can be asked.
#[must_use]
pub fn open_files_max(pid: u32) -> Option<u64> {
    let limits = text(Path::new(&format!("/proc/{pid}/limits")))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// User and system time of a `stat` line; the name in it may hold spaces and brackets.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn tcp_pages(sockstat: &str) -> u64 {
    let line = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))
        .unwrap_or_default();
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    words
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0)
}

/// `USER_HZ` is 100 on every Linux.
const MS_PER_TICK: u64 = 10;
const PAGE_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_brackets_and_spaces() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 7 9 0 0 20 0 3 0 5 6";
        assert_eq!(ticks(stat), Some((7, 9)));
        assert_eq!(ticks("42 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn a_field_is_read_by_its_whole_name() {
        let status = "VmRSS:\t  1234 kB\nvoluntary_ctxt_switches:\t5\n\
                      nonvoluntary_ctxt_switches:\t6\n";
        assert_eq!(field(status, "VmRSS:"), 1_234);
        assert_eq!(field(status, "voluntary_ctxt_switches:"), 5);
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), 6);
        assert_eq!(field(status, "VmSwap:"), 0);
    }

    #[test]
    fn tcp_pages_are_behind_mem() {
        let sockstat = "sockets: used 9\nTCP: inuse 3 orphan 0 tw 1 alloc 4 mem 17\nUDP: mem 2\n";
        assert_eq!(tcp_pages(sockstat), 17);
        assert_eq!(tcp_pages(""), 0);
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_is_not_alive() {
        let own = Usage::own();
        assert_eq!(own.alive, 1);
        assert!(own.rss_bytes > 0);
        assert_eq!(Usage::of(&[u32::MAX]).alive, 0);
    }
}
