//! Helm's release record, as stored in `sh.helm.release.v1` Secrets.
