//! What of a record can be left out, and how large its parts are.

use serde::Serialize;

use super::{Release, ReleaseChart, codec};

/// A part of a recorded chart that no command of Helm reads from a record: what is listed, shown, rolled back to, upgraded from
/// (`--reuse-values` too) and uninstalled are the manifest, the hooks, the values, the chart's own values and its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// Files that are no templates: documentation, definitions, and what templates read by `.Files`.
    Files,
    /// The schema of the values.
    Schema,
    /// The templates, which cannot be rendered from a record anyhow: it lacks those of dependencies.
    Templates,
}

impl Spare {
    /// All of them, in the order in which they are left out of a record that is too large.
    pub const ALL: [Self; 3] = [Self::Files, Self::Schema, Self::Templates];
}

impl ReleaseChart {
    /// Leaves a part out; whether there was anything of it.
    pub fn leave_out(&mut self, part: Spare) -> bool {
        match part {
            Spare::Files => !std::mem::take(&mut self.files).is_empty(),
            Spare::Schema => {
                self.schema_modified = None;
                self.schema.take().is_some()
            }
            Spare::Templates => !std::mem::take(&mut self.templates).is_empty(),
        }
    }

    /// Leaves out all that Helm does not need of it.
    pub fn slim(&mut self) {
        for part in Spare::ALL {
            self.leave_out(part);
        }
    }
}

/// How many bytes the parts of a record take, each packed by itself: together they take a little less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The rendered manifest.
    pub manifest: usize,
    /// The rendered hooks.
    pub hooks: usize,
    /// The values given by the user.
    pub values: usize,
    /// The chart with its own values.
    pub chart: usize,
    /// The rendered notes.
    pub notes: usize,
}

impl Sizes {
    /// Measures a record.
    ///
    /// # Errors
    /// As [`codec::encode`].
    pub fn of(release: &Release) -> Result<Self, codec::Error> {
        fn size(part: &impl Serialize) -> Result<usize, codec::Error> {
            codec::pack(part).map(|packed| packed.len())
        }
        Ok(Self {
            manifest: size(&release.manifest)?,
            hooks: size(&release.hooks)?,
            values: size(&release.config)?,
            chart: size(&release.chart)?,
            notes: size(&release.info.notes)?,
        })
    }
}
