//! Child processes that never outlive the harness, however it ends.
//!
//! Every program runs under a guardian: a shell that leads a process group of its own and holds the read end of a
//! pipe from us. When that pipe reaches its end, because we dropped it, panicked, or were killed, the guardian kills the
//! whole group. A parent-death signal would not do: it is tied to the thread that spawned, and tests come and go on threads.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

/// Starts `$@` with its output in the log `$1`, says its process id, and when it ends, its exit status.
/// The end of the pipe kills the program; the program's end, however it came, ends what it left in the group.
const GUARDIAN: &str = r#"
log=$1; shift
exec 3<&0
"$@" >>"$log" 2>&1 </dev/null 3<&- &
child=$!
echo "$child"
{ cat <&3; kill -KILL "$child"; } >/dev/null 2>&1 &
exec 3<&-
trap : PIPE
wait "$child" 2>/dev/null
echo "$?" 2>/dev/null
kill -KILL 0
"#;

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: finish what you do and go.
    Terminate,
    /// `SIGKILL`: no instruction more.
    Kill,
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    guardian: Child,
    leash: Option<ChildStdin>,
    ended: watch::Receiver<Option<i32>>,
}

impl Process {
    /// Starts `command`, its output appended to `log`.
    ///
    /// # Errors
    /// When no shell or no such program can be started.
    pub fn spawn(command: &Command, log: &Path) -> Result<Self> {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if program.is_absolute() && !program.exists() {
            bail!("{} does not exist", program.display());
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARDIAN, &name]).arg(log).arg(program).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let mut guardian = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start a guardian for {name}"))?;
        let leash = guardian.stdin.take();
        let mut words = BufReader::new(guardian.stdout.take().context("the guardian has no voice")?);
        let mut line = String::new();
        words.read_line(&mut line)?;
        let pid = line.trim().parse().with_context(|| format!("failed to start {name}"))?;
        let (said, ended) = watch::channel(None);
        std::thread::spawn(move || {
            let mut line = String::new();
            let status = words.read_line(&mut line).ok().and_then(|_| line.trim().parse().ok());
            // Nobody listening any more is as good as told.
            said.send_replace(Some(status.unwrap_or(128 + 9)));
        });
        Ok(Self { name, pid, log: log.to_owned(), guardian, leash, ended })
    }

    /// The program's own process id, the guardian's it is not.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where the program's output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Sends a signal to the program; one that has ended already is left in peace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let (true, Some(pid)) = (self.is_running(), rustix::process::Pid::from_raw(i32::try_from(self.pid)?)) else {
            return Ok(());
        };
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match rustix::process::kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("failed to signal {}", self.name)),
        }
    }

    /// Waits for the program's end and returns its exit status (128 + signal when a signal ended it).
    ///
    /// # Errors
    /// When it still runs after `within`; the last lines of its log are in the text.
    pub async fn ended(&self, within: Duration) -> Result<i32> {
        let mut ended = self.ended.clone();
        match tokio::time::timeout(within, ended.wait_for(Option::is_some)).await {
            Ok(status) => Ok(status.ok().and_then(|status| *status).unwrap_or(128 + 9)),
            Err(_) => bail!("{} still runs after {within:?}; its log ends with:\n{}", self.name, self.log_tail()),
        }
    }

    /// What `future` comes to, unless the program ends before.
    ///
    /// # Errors
    /// The future's own, or the program's end with the last lines of its log.
    pub async fn while_running<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            result = future => result.with_context(|| format!("the log of {} ends with:\n{}", self.name, self.log_tail())),
            _ = ended.wait_for(Option::is_some) => bail!("{} ended; its log ends with:\n{}", self.name, self.log_tail()),
        }
    }

    /// The last lines of the log, for a person who looks for the cause.
    pub fn log_tail(&self) -> String {
        tail(&self.log, 40)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.leash.take());
        // The guardian has just been told to end; a failure here would mean that somebody else reaped it.
        drop(self.guardian.wait());
    }
}

/// The last `lines` lines of a file, at most 64 KiB; the reason in place of them when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    const LIMIT: u64 = 64 << 10;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LIMIT);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// A folder for certificates, data and logs that goes away after the harness, however it ends.
///
/// `E2E_KEEP=1` in the environment keeps it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    // Its standard input is what the janitor waits on; it is never written to.
    _janitor: Option<Child>,
}

impl Scratch {
    /// Makes a new folder in the system's temporary folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        // Programs that are being killed may still write: hence the repeated tries.
        const JANITOR: &str =
            r#"cat >/dev/null; for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done"#;
        let path = tempfile::Builder::new().prefix(&format!("helm-operator-{name}-")).tempdir()?.keep();
        let keep = std::env::var_os("E2E_KEEP").is_some_and(|value| !value.is_empty());
        let janitor = (!keep)
            .then(|| {
                Command::new("sh")
                    .args(["-c", JANITOR, "janitor"])
                    .arg(&path)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .process_group(0)
                    .spawn()
            })
            .transpose()
            .context("failed to start the janitor of a temporary folder")?;
        Ok(Self { path, _janitor: janitor })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}
