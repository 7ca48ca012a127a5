//! Content on disk, by digest: bounded, disposable, shared by processes.
//!
//! A file appears under its digest by an atomic rename and is complete from then on; what a killed process left is a
//! temporary file that is removed later. What is read is hashed again, so a damaged file is a miss and goes. A cache
//! that cannot be read or written costs downloads, never a failure.

use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::reference::Digest;

/// Age from which a temporary file belongs to no living writer.
const ABANDONED: Duration = Duration::from_hours(1);

/// Prefix of the files that are being written.
const TEMPORARY: &str = ".writing-";

/// Content by digest in one folder.
#[derive(Clone)]
pub(super) struct Cache {
    folder: Arc<Path>,
    limit: u64,
}

/// A file of the cache, as its folder lists it.
struct Listed {
    path: PathBuf,
    used: SystemTime,
    size: u64,
    temporary: bool,
}

impl Cache {
    /// A cache in `folder` (made when first needed) of at most `limit` bytes.
    pub(super) fn new(folder: &Path, limit: u64) -> Self {
        Self { folder: folder.into(), limit }
    }

    /// The content of `digest`, if it is here, whole, and at most `max` bytes.
    pub(super) async fn get(&self, digest: &Digest, max: u64) -> Option<Bytes> {
        let (cache, digest) = (self.clone(), digest.clone());
        let read = tokio::task::spawn_blocking(move || cache.read(&digest, max)).await;
        match read {
            Ok(Ok(content)) => content,
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to read the chart cache");
                None
            }
            Err(_) => None,
        }
    }

    /// Keeps `content` as `digest`, which the caller has verified; what was used longest ago makes room.
    pub(super) async fn put(&self, digest: &Digest, content: &Bytes) {
        let (cache, digest, content) = (self.clone(), digest.clone(), content.clone());
        let written = tokio::task::spawn_blocking(move || cache.write(&digest, &content)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "failed to write the chart cache");
        }
    }

    /// The file `name`, if it is here and at most `max` bytes, and when it was written. What is in it, the caller checks.
    pub(super) async fn named(&self, name: &str, max: u64) -> Option<(Vec<u8>, SystemTime)> {
        let path = self.folder.join(name);
        let read = move || -> io::Result<(Vec<u8>, SystemTime)> {
            let file = File::open(&path)?;
            let written = file.metadata()?.modified()?;
            let mut content = Vec::new();
            file.take(max.saturating_add(1)).read_to_end(&mut content)?;
            Ok((content, written))
        };
        // What cannot be read is not here: it is fetched again.
        let (content, written) = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
        (content.len() as u64 <= max).then_some((content, written))
    }

    /// Keeps `content` as the file `name`; what was written or used longest ago makes room.
    pub(super) async fn put_named(&self, name: &str, content: Bytes) {
        let (cache, name) = (self.clone(), name.to_owned());
        let written = tokio::task::spawn_blocking(move || cache.write_to(&cache.folder.join(name), &content)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "failed to write the cache");
        }
    }

    fn read(&self, digest: &Digest, max: u64) -> io::Result<Option<Bytes>> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut content = Vec::new();
        (&file).take(max.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > max || digest.rehash(&content) != *digest {
            return remove(&path).map(|()| None);
        }
        // The time of last use; on a read-only folder the order of eviction does not matter.
        if file.set_times(FileTimes::new().set_modified(SystemTime::now())).is_err() {
            tracing::debug!("the chart cache does not take times of use");
        }
        Ok(Some(content.into()))
    }

    fn write(&self, digest: &Digest, content: &[u8]) -> io::Result<()> {
        self.write_to(&self.path(digest), content)
    }

    fn write_to(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let size = content.len() as u64;
        if size > self.limit {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        self.make_room(size)?;
        let mut file = NamedTempFile::with_prefix_in(TEMPORARY, &self.folder)?;
        file.write_all(content)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was used longest ago until `size` bytes fit, and what killed writers left.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let now = SystemTime::now();
        let mut listed = self.list()?;
        listed.sort_by_key(|file| file.used);
        let mut total: u64 = listed.iter().map(|file| file.size).sum::<u64>() + size;
        for file in listed {
            let age = now.duration_since(file.used).unwrap_or_default();
            let abandoned = file.temporary && age > ABANDONED;
            let surplus = !file.temporary && total > self.limit;
            if abandoned || surplus {
                remove(&file.path)?;
                total -= file.size;
            }
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may remove it meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                listed.push(Listed {
                    path: entry.path(),
                    used: metadata.modified()?,
                    size: metadata.len(),
                    temporary: entry.file_name().to_string_lossy().starts_with(TEMPORARY),
                });
            }
        }
        Ok(listed)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.as_str().replace(':', "-"))
    }
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: u64 = 1 << 20;

    fn content(fill: u8, size: usize) -> (Digest, Bytes) {
        let content = Bytes::from(vec![fill; size]);
        (Digest::of(&content), content)
    }

    fn used_long_ago(cache: &Cache, digest: &Digest, age: Duration) {
        let file = File::options().write(true).open(cache.path(digest)).expect("kept");
        let time = FileTimes::new().set_modified(SystemTime::now() - age);
        file.set_times(time).expect("a time");
    }

    #[tokio::test]
    async fn what_was_put_is_read_back_by_another_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let (digest, bytes) = content(1, 100);
        let cache = Cache::new(&folder.path().join("made/when/needed"), PLENTY);
        assert_eq!(cache.get(&digest, PLENTY).await, None);
        cache.put(&digest, &bytes).await;
        let other = Cache::new(&cache.folder, PLENTY);
        assert_eq!(other.get(&digest, PLENTY).await, Some(bytes));
    }

    #[tokio::test]
    async fn a_damaged_or_cut_file_is_a_miss_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path(), PLENTY);
        let (digest, bytes) = content(1, 100);
        for damaged in [&b"other"[..], &bytes[..50], b""] {
            fs::write(cache.path(&digest), damaged).expect("written");
            assert_eq!(cache.get(&digest, PLENTY).await, None);
            assert!(!cache.path(&digest).exists());
        }
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_makes_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path(), 250);
        let [old, read, new] = [1, 2, 3].map(|fill| content(fill, 100));
        cache.put(&old.0, &old.1).await;
        cache.put(&read.0, &read.1).await;
        used_long_ago(&cache, &old.0, Duration::from_secs(20));
        used_long_ago(&cache, &read.0, Duration::from_secs(30));
        assert!(cache.get(&read.0, PLENTY).await.is_some(), "reading is using");
        cache.put(&new.0, &new.1).await;
        assert_eq!(cache.get(&old.0, PLENTY).await, None);
        assert!(cache.get(&read.0, PLENTY).await.is_some());
        assert!(cache.get(&new.0, PLENTY).await.is_some());
    }

    #[tokio::test]
    async fn what_a_killed_writer_left_goes_and_a_living_one_is_spared() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path(), PLENTY);
        let [abandoned, living] = ["a", "b"].map(|name| folder.path().join(format!("{TEMPORARY}{name}")));
        fs::write(&living, "partial").expect("written");
        let file = File::create(&abandoned).expect("written");
        let long_ago = SystemTime::now() - 2 * ABANDONED;
        file.set_times(FileTimes::new().set_modified(long_ago)).expect("a time");
        let (digest, bytes) = content(1, 10);
        cache.put(&digest, &bytes).await;
        assert!(living.exists() && !abandoned.exists());
    }

    #[tokio::test]
    async fn an_unusable_folder_is_an_empty_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        let cache = Cache::new(&file, PLENTY);
        let (digest, bytes) = content(1, 10);
        cache.put(&digest, &bytes).await;
        assert_eq!(cache.get(&digest, PLENTY).await, None);
    }
}
