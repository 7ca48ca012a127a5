//! Where a record is kept: the name, type and labels of its Secret.

use std::collections::BTreeMap;

use super::Release;

/// The `type` of a Secret with a record.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";
/// The key of the Secret's data under which the record is.
pub const DATA_KEY: &str = "release";

/// The label with the release's name.
pub const NAME_LABEL: &str = "name";
/// The label that says whose record it is: [`OWNER`].
pub const OWNER_LABEL: &str = "owner";
/// The label with the [`Status`](super::Status).
pub const STATUS_LABEL: &str = "status";
/// The label with the revision.
pub const VERSION_LABEL: &str = "version";
/// The label with the Unix time of the record's making, in seconds.
pub const CREATED_LABEL: &str = "createdAt";
/// The label with the Unix time of the record's last change, in seconds.
pub const MODIFIED_LABEL: &str = "modifiedAt";
/// The value of [`OWNER_LABEL`].
pub const OWNER: &str = "helm";

const SYSTEM_LABELS: [&str; 6] = [NAME_LABEL, OWNER_LABEL, STATUS_LABEL, VERSION_LABEL, CREATED_LABEL, MODIFIED_LABEL];
const NAME_PREFIX: &str = "sh.helm.release.v1.";

/// The name of the Secret that holds a revision of a release.
pub fn secret_name(release: &str, revision: u32) -> String {
    format!("{NAME_PREFIX}{release}.v{revision}")
}

/// The release and revision whose record a Secret of this name holds.
pub fn parse_secret_name(secret: &str) -> Option<(&str, u32)> {
    let (release, revision) = secret.strip_prefix(NAME_PREFIX)?.rsplit_once(".v")?;
    Some((release, revision.parse().ok()?))
}

/// The labels of the record's Secret, but for [`CREATED_LABEL`] and [`MODIFIED_LABEL`].
pub fn labels(release: &Release) -> BTreeMap<String, String> {
    let mut labels = user_labels(&release.labels);
    let version = release.version.to_string();
    let system = [
        (NAME_LABEL, release.name.as_str()),
        (OWNER_LABEL, OWNER),
        (STATUS_LABEL, release.info.status.as_str()),
        (VERSION_LABEL, &version),
    ];
    labels.extend(system.map(|(label, value)| (label.to_owned(), value.to_owned())));
    labels
}

/// The labels that are the user's own, out of all labels of a record's Secret.
pub fn user_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_own = |(label, _): &(&String, &String)| !SYSTEM_LABELS.contains(&label.as_str());
    labels.iter().filter(is_own).map(|(label, value)| (label.clone(), value.clone())).collect()
}
