//! What registries have shown, kept across restarts: what was read where, and which digest a tag had.
//!
//! Content of the shared cache is given only to who can read it: that a repository holds a digest is known when its bytes
//! came from there once ([`Memory::holds`]); who knows a digest alone, and has a registry of their own that claims to hold
//! it, gets nothing.
//!
//! It is a journal of small lines beside the cache, read at start, appended to, and written anew when half of it is out
//! of date. A line that is cut or damaged is passed over. Names, and the keys of accesses, are in it as salted hashes
//! only. A folder that cannot be written costs memory across restarts, and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::credentials::AccessKey;
use super::reference::{ChartReference, Digest, hex};

/// Most things seen that are remembered.
const MAX_REMEMBERED: usize = 16_384;

/// How long something is remembered that was not confirmed since.
const MAX_AGE: Duration = Duration::from_hours(24 * 90);

/// A hash of what is remembered. Half of a SHA-256 is enough to tell a few thousand things apart.
type Key = String;

/// One line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Line {
    /// The first line: what the hashes are salted with.
    #[serde(rename = "salt")]
    Salt(String),
    /// Something that was seen.
    #[serde(rename = "seen")]
    Seen { key: Key, at: u64 },
}

/// The memory, shared by all callers.
#[derive(Clone)]
pub(super) struct Memory {
    salt: Arc<str>,
    /// The journal; none where nothing is to be kept.
    path: Option<Arc<Path>>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    seen: BTreeMap<Key, SystemTime>,
    /// Lines in the journal.
    lines: usize,
}

impl Memory {
    /// What the journal in `folder` holds; an empty memory where there is none, or nothing is to be kept.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let path = folder.map(|folder| folder.join("answers").join("journal"));
        let text = path.as_ref().map(fs::read).and_then(Result::ok).unwrap_or_default();
        let (salt, known) = read(&text, SystemTime::now());
        let memory = Self {
            salt: salt.unwrap_or_else(new_salt).into(),
            path: path.map(PathBuf::into_boxed_path).map(Arc::from),
            known: Arc::new(Mutex::new(known)),
        };
        if let Err(error) = memory.rewrite(&mut memory.lock()) {
            tracing::warn!(%error, "failed to write what registries showed; it is forgotten at the next restart");
        }
        memory
    }

    /// Notes that `reference`'s repository gave the bytes of `digest`.
    pub(super) fn gave(&self, reference: &ChartReference, digest: &Digest) {
        self.note(&["held", reference.host(), reference.repository(), digest.as_str()]);
    }

    /// Whether `reference`'s repository gave the bytes of `digest` once.
    pub(super) fn holds(&self, reference: &ChartReference, digest: &Digest) -> bool {
        self.knows(&["held", reference.host(), reference.repository(), digest.as_str()])
    }

    /// Notes that `access` may read `digest` in `reference`'s repository.
    pub(super) fn read(&self, reference: &ChartReference, digest: &Digest, access: &AccessKey) {
        self.note(&["read", reference.host(), reference.repository(), digest.as_str(), &access.to_hex()]);
    }

    /// Whether `access` could read `digest` in `reference`'s repository once.
    pub(super) fn has_read(&self, reference: &ChartReference, digest: &Digest, access: &AccessKey) -> bool {
        self.knows(&["read", reference.host(), reference.repository(), digest.as_str(), &access.to_hex()])
    }

    /// Notes that `reference`'s tag had `digest`.
    pub(super) fn tagged(&self, reference: &ChartReference, digest: &Digest) {
        let tag = reference.tag().unwrap_or_default();
        self.note(&["tagged", reference.host(), reference.repository(), tag, digest.as_str()]);
    }

    /// Whether `reference`'s tag had `digest` once.
    pub(super) fn was_tagged(&self, reference: &ChartReference, digest: &Digest) -> bool {
        let tag = reference.tag().unwrap_or_default();
        self.knows(&["tagged", reference.host(), reference.repository(), tag, digest.as_str()])
    }

    fn knows(&self, parts: &[&str]) -> bool {
        self.lock().seen.contains_key(&self.key(parts))
    }

    fn note(&self, parts: &[&str]) {
        let key = self.key(parts);
        let now = SystemTime::now();
        let mut known = self.lock();
        let old = known.seen.get(&key).copied();
        // What is in use is confirmed now and then, so that it outlives what is not.
        if old.is_some_and(|old| age(old, now) < MAX_AGE / 4) {
            return;
        }
        make_room(&mut known.seen);
        known.seen.insert(key.clone(), now);
        self.append(&mut known, &Line::Seen { key, at: seconds(now) });
    }

    fn key(&self, parts: &[&str]) -> Key {
        let mut hasher = Sha256::new();
        hasher.update(self.salt.as_bytes());
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hex(&hasher.finalize()[..16])
    }

    /// One small write; a page of a local disk, so it is done where it is.
    fn append(&self, known: &mut Known, line: &Line) {
        let Some(path) = &self.path else { return };
        let current = known.seen.len() + 1;
        let written = if known.lines >= 2 * current + 1024 {
            self.rewrite(known)
        } else {
            known.lines += 1;
            OpenOptions::new().append(true).open(path).and_then(|file| write_line(&file, line))
        };
        if let Err(error) = written {
            tracing::debug!(%error, "failed to note what a registry showed");
        }
    }

    /// Writes what is known, and that alone, as a new journal.
    fn rewrite(&self, known: &mut Known) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let mut text = Vec::new();
        let mut line = |line: &Line| -> io::Result<()> {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
            Ok(())
        };
        line(&Line::Salt(self.salt.to_string()))?;
        for (key, at) in &known.seen {
            line(&Line::Seen { key: key.clone(), at: seconds(*at) })?;
        }
        let next = path.with_extension("next");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&text)?;
        fs::rename(&next, path)?;
        known.lines = known.seen.len() + 1;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_line(mut file: &File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// The salt and all sound lines of a journal that are not too old.
fn read(text: &[u8], now: SystemTime) -> (Option<String>, Known) {
    let mut salt = None;
    let mut known = Known::default();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Salt(text)) => salt = Some(text),
            Ok(Line::Seen { key, at }) => {
                let at = time(at);
                if age(at, now) < MAX_AGE {
                    known.seen.insert(key, at);
                }
            }
            Err(_) => {}
        }
    }
    // Hashes without their salt mean nothing.
    if salt.is_none() { (None, Known::default()) } else { (salt, known) }
}

/// Lets the eighth go that was confirmed longest ago, when there is no more room.
fn make_room(seen: &mut BTreeMap<Key, SystemTime>) {
    if seen.len() < MAX_REMEMBERED {
        return;
    }
    let mut times: Vec<SystemTime> = seen.values().copied().collect();
    times.sort_unstable();
    let limit = times[times.len() / 8];
    seen.retain(|_, at| *at > limit);
}

fn new_salt() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex(&bytes),
        // Without a source of chance the time has to do: it keeps one journal's hashes from another's tables.
        Err(_) => seconds(SystemTime::now()).to_string(),
    }
}

fn age(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn time(seconds: u64) -> SystemTime {
    // A damaged line may hold any number: the far future is as good as the beginning.
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Access, Credentials};

    fn reference(url: &str) -> ChartReference {
        ChartReference::parse(url).expect(url)
    }

    fn journal(folder: &Path) -> PathBuf {
        folder.join("answers/journal")
    }

    #[test]
    fn what_was_shown_is_known_to_the_next_process_and_of_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = Digest::of(b"chart");
        let mine = Access { credentials: Some(Credentials::new("u", "hunter2")), ..Access::default() };
        let memory = Memory::open(Some(folder.path()));
        memory.gave(&reference("oci://h/c"), &digest);
        memory.read(&reference("oci://h/c"), &digest, &mine.key());
        memory.tagged(&reference("oci://h/c:1.2.3"), &digest);
        let next = Memory::open(Some(folder.path()));
        assert!(next.holds(&reference("oci://h/c"), &digest));
        assert!(!next.holds(&reference("oci://evil/c"), &digest), "another registry's word");
        assert!(next.has_read(&reference("oci://h/c"), &digest, &mine.key()));
        assert!(!next.has_read(&reference("oci://h/c"), &digest, &Access::default().key()), "another's access");
        assert!(next.was_tagged(&reference("oci://h/c:1.2.3"), &digest));
        assert!(!next.was_tagged(&reference("oci://h/c:1.2.4"), &digest));
        let text = fs::read_to_string(journal(folder.path())).expect("a journal");
        assert!(!text.contains("hunter2") && !text.contains("oci://"), "{text}");
    }

    #[test]
    fn a_damaged_journal_is_read_as_far_as_it_is_sound() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reference, digest) = (|name: &str| reference(&format!("oci://h/{name}")), Digest::of(b"1"));
        let memory = Memory::open(Some(folder.path()));
        memory.gave(&reference("a"), &digest);
        memory.gave(&reference("b"), &digest);
        let path = journal(folder.path());
        let text = fs::read_to_string(&path).expect("a journal");
        fs::write(&path, format!("nonsense\n{}", &text[..text.len() - 9])).expect("written");
        let next = Memory::open(Some(folder.path()));
        assert!(next.holds(&reference("a"), &digest));
        assert!(!next.holds(&reference("b"), &digest), "its line was cut");
        next.gave(&reference("c"), &digest);
        assert!(
            Memory::open(Some(folder.path())).holds(&reference("c"), &digest),
            "nothing was appended to half a line"
        );
        fs::write(&path, "{\"seen\":{\"key\":\"00\",\"at\":99999999999999999}}\n").expect("written");
        assert!(Memory::open(Some(folder.path())).lock().seen.is_empty(), "hashes without their salt");
    }

    #[test]
    fn the_journal_does_not_grow_with_what_is_shown_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory::open(Some(folder.path()));
        for _ in 0..5000 {
            memory.gave(&reference("oci://h/c"), &Digest::of(b"same"));
        }
        let lines = fs::read_to_string(journal(folder.path())).expect("a journal").lines().count();
        assert_eq!(lines, 2, "the salt, and what was shown");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_memory_of_this_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        for memory in [Memory::open(Some(&file)), Memory::open(None)] {
            memory.gave(&reference("oci://h/c"), &Digest::of(b"1"));
            assert!(memory.holds(&reference("oci://h/c"), &Digest::of(b"1")));
        }
    }
}
