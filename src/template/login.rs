//! Who asks a registry: the user of the flags, else whoever is logged in there by Helm's or Docker's configuration.
//!
//! Credential helpers, programs that such a configuration may name, are not run.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Error, RegistryOptions};
use crate::registry::{ChartReference, Credentials, CredentialsError};

/// The credentials for a chart's registry. As in Helm, a user name without a password counts for nothing.
pub(super) fn credentials(options: &RegistryOptions, chart: &ChartReference) -> Result<Option<Credentials>, Error> {
    let password = if options.password_stdin { Some(read_password()?) } else { options.password.clone() };
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let (Some(username), Some(password)) = (given(options.username.clone()), given(password)) {
        return Ok(Some(Credentials::new(username, password)));
    }
    for file in files(options) {
        if let Some(found) = logged_in(&file, chart)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Standard input without the line's end.
fn read_password() -> Result<String, Error> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).map_err(Error::ReadPassword)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Where logins may be, the first that has one counts.
fn files(options: &RegistryOptions) -> Vec<PathBuf> {
    let RegistryOptions { registry_config, config_home, docker_config, .. } = options;
    let home = std::env::home_dir();
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let helm = registry_config.clone().or_else(|| {
        let folder = config_home.clone().or_else(|| below_home(".config/helm"));
        folder.map(|folder| folder.join("registry/config.json"))
    });
    let docker = docker_config.clone().or_else(|| below_home(".docker"));
    [helm, docker.map(|folder| folder.join("config.json"))].into_iter().flatten().collect()
}

fn logged_in(file: &Path, chart: &ChartReference) -> Result<Option<Credentials>, Error> {
    let refuse = |problem: String| Error::ReadLogins { path: file.to_owned(), problem };
    let json = match std::fs::read(file) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
    };
    let key = ".dockerconfigjson";
    let data = BTreeMap::from([(key.to_owned(), json)]);
    let found = Credentials::from_secret("kubernetes.io/dockerconfigjson", &data, chart.host(), chart.repository());
    match found {
        // Where a credential helper keeps the logins, entries are empty.
        Err(CredentialsError::DockerEntry { .. }) => Ok(None),
        found => found.map_err(|error| refuse(error.to_string())),
    }
}
