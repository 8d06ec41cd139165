//! One process that a test started: its output goes to files, it has a deadline, and it never
//! outlives the test.
//!
//! Invariant: when a `Child` is dropped its process is gone. Only the process started here is
//! ever signalled, by its own id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running or ended process with its two output files.
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Child {
    /// Starts `command` without standard input; `NAME.out` and `NAME.err` in `dir` take what it
    /// prints.
    pub(crate) fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let stdout = dir.join(format!("{name}.out"));
        let stderr = dir.join(format!("{name}.err"));
        let process = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("output file"))
            .stderr(File::create(&stderr).expect("error file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {:?}: {error}", command.get_program()));
        Self {
            name: name.to_owned(),
            process,
            stdout,
            stderr,
        }
    }

    /// Waits for the end, at most until `deadline`; `None` when it still runs then.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.process.try_wait().expect("wait for a child") {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("wait for a child").is_none()
    }

    /// Waits at most `limit` for a good end and fails the test otherwise.
    pub(crate) fn succeed_within(&mut self, limit: Duration) {
        let Some(status) = self.wait_until(Instant::now() + limit) else {
            panic!(
                "{} still runs after {limit:?}\n{}",
                self.name,
                self.last_words()
            );
        };
        assert!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.last_words()
        );
    }

    /// SIGKILL: what a crash or a pulled cable of the encoder's machine looks like from here.
    pub(crate) fn kill_9(&mut self) {
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }

    /// A polite signal (`TERM`, `INT`), by process id.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal, &id])
            .status();
        assert!(
            sent.expect("run sh").success(),
            "{}: SIG{signal} could not be sent",
            self.name
        );
    }

    /// What it printed on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// What it printed on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// The end of both outputs, for a failure message.
    pub(crate) fn last_words(&self) -> String {
        let mut words = String::new();
        for (label, text) in [("out", self.stdout()), ("err", self.stderr())] {
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.len().saturating_sub(TAIL_LINES);
            for line in &lines[tail..] {
                words.push_str(&format!("    {} {label}: {line:.300}\n", self.name));
            }
        }
        words
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// Runs a tool to its end and hands back its standard output; fails the test on a bad exit.
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("run a tool");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

const TAIL_LINES: usize = 12;
