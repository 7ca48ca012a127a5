//! How much a chart may be: bounds on what is read, whatever an archive claims about itself.

/// Bounds on one chart, its packed dependencies included.
///
/// The defaults leave room for the largest charts in public use; Helm itself only bounds the unpacked total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive as received.
    pub archive_bytes: u64,
    /// Bytes of all files together, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Number of files and folders.
    pub files: usize,
    /// Bytes of a path.
    pub path_bytes: usize,
    /// Elements of a path.
    pub path_depth: usize,
    /// Levels of charts within charts.
    pub chart_depth: usize,
    /// Values in all `values.yaml` together: scalars, lists and maps.
    pub value_nodes: usize,
}

impl Limits {
    /// Bytes of an archive: 32 MiB.
    pub const ARCHIVE_BYTES: u64 = 32 << 20;
    /// Bytes unpacked: 100 MiB, as Helm.
    pub const UNPACKED_BYTES: u64 = 100 << 20;
    /// Bytes of one file: 32 MiB. A vendored dependency is a file of its parent's archive.
    pub const FILE_BYTES: u64 = 32 << 20;
    /// Files and folders: 20 000.
    pub const FILES: usize = 20_000;
    /// Bytes of a path: 1 024.
    pub const PATH_BYTES: usize = 1024;
    /// Elements of a path: 64.
    pub const PATH_DEPTH: usize = 64;
    /// Levels of charts: 16.
    pub const CHART_DEPTH: usize = 16;
    /// Values: 250 000. The largest public charts have 20 000.
    pub const VALUE_NODES: usize = 250_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: Self::ARCHIVE_BYTES,
            unpacked_bytes: Self::UNPACKED_BYTES,
            file_bytes: Self::FILE_BYTES,
            files: Self::FILES,
            path_bytes: Self::PATH_BYTES,
            path_depth: Self::PATH_DEPTH,
            chart_depth: Self::CHART_DEPTH,
            value_nodes: Self::VALUE_NODES,
        }
    }
}

/// A bound that a chart exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// The archive as received.
    #[error("chart archive is larger than the maximum size {0}")]
    Archive(u64),
    /// All files together.
    #[error("decompressed chart is larger than the maximum size {0}")]
    Unpacked(u64),
    /// One file.
    #[error("a file in the chart is larger than the maximum size {0}")]
    File(u64),
    /// The number of files.
    #[error("chart has more than {0} files")]
    Files(usize),
    /// The length of a path.
    #[error("chart has a path longer than {0} bytes")]
    PathLength(usize),
    /// The depth of a path.
    #[error("chart has a path deeper than {0} folders")]
    PathDepth(usize),
    /// The depth of dependencies.
    #[error("chart has dependencies nested deeper than {0} levels")]
    ChartDepth(usize),
    /// The number of default values.
    #[error("chart has more than {0} default values, each map counted as {table} more", table = crate::given::TABLE)]
    ValueNodes(usize),
}

/// What may still be read of one chart.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    bytes: u64,
    files: usize,
    value_nodes: usize,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, bytes: limits.unpacked_bytes, files: limits.files, value_nodes: limits.value_nodes }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts one file or folder.
    pub(super) fn take_entry(&mut self) -> Result<(), Excess> {
        self.files = self.files.checked_sub(1).ok_or(Excess::Files(self.limits.files))?;
        Ok(())
    }

    /// Counts the default values of one chart.
    pub(super) fn take_values(&mut self, nodes: usize) -> Result<(), Excess> {
        let left = self.value_nodes.checked_sub(nodes);
        self.value_nodes = left.ok_or(Excess::ValueNodes(self.limits.value_nodes))?;
        Ok(())
    }

    /// Checks the length of an entry's path.
    pub(super) fn check_path_length(&self, path: &[u8]) -> Result<(), Excess> {
        if path.len() > self.limits.path_bytes {
            return Err(Excess::PathLength(self.limits.path_bytes));
        }
        Ok(())
    }

    /// Checks the path of an entry.
    pub(super) fn check_path(&self, path: &str) -> Result<(), Excess> {
        self.check_path_length(path.as_bytes())?;
        if path.split(['/', '\\']).count() > self.limits.path_depth {
            return Err(Excess::PathDepth(self.limits.path_depth));
        }
        Ok(())
    }

    /// Counts the bytes of a file before they are read.
    pub(super) fn take_bytes(&mut self, bytes: u64) -> Result<(), Excess> {
        if bytes > self.limits.file_bytes {
            return Err(Excess::File(self.limits.file_bytes));
        }
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Excess::Unpacked(self.limits.unpacked_bytes))?;
        Ok(())
    }
}
