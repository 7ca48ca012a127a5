//! The flags of `helm-operator template`: Helm's, by name and by meaning.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, ValueHint};
use formats::go::quote;

use super::string_slice::StringSlice;

/// What to render, and how.
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line, independent of each other")]
#[derive(Debug, Clone, Default, Args)]
#[command(args(without_effect()), mut_args(as_helm_reads))]
pub struct Options {
    /// The release's name, if any, and the chart: a folder, a .tgz archive or an `oci://` reference.
    #[arg(value_name = "[NAME] CHART", required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub arguments: Vec<String>,

    /// Namespace of the release.
    #[arg(short, long, env = "HELM_NAMESPACE", hide_env_values = true)]
    pub namespace: Option<String>,

    /// Values of the chart.
    #[command(flatten)]
    pub values: ValueOptions,

    /// How to reach the registry of an `oci://` chart.
    #[command(flatten)]
    pub registry: RegistryOptions,

    /// Version of Kubernetes for `.Capabilities.KubeVersion`.
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,

    /// API versions for `.Capabilities.APIVersions`; repeated or separated by commas.
    #[arg(short, long, value_name = "VERSIONS")]
    pub api_versions: Vec<StringSlice>,

    /// Print the files in `crds/` too.
    #[arg(long)]
    pub include_crds: bool,

    /// Leave out test hooks.
    #[arg(long)]
    pub skip_tests: bool,

    /// Leave out all hooks.
    #[arg(long)]
    pub no_hooks: bool,

    /// Print only what these templates render; repeated, wildcards as in a shell.
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,

    /// Set `.Release.IsUpgrade` instead of `.Release.IsInstall`.
    #[arg(long)]
    pub is_upgrade: bool,

    /// Do not check the values against the chart's schemas.
    #[arg(long)]
    pub skip_schema_validation: bool,

    /// Template that makes the release's name.
    #[arg(long, value_name = "TEMPLATE")]
    pub name_template: Option<String>,

    /// Give no NAME; the release is called `release-name`, as it is without this flag.
    #[arg(short, long)]
    pub generate_name: bool,

    /// Write files into this folder instead of printing.
    #[arg(long, value_name = "FOLDER", value_parser = any_path())]
    pub output_dir: Option<PathBuf>,

    /// Write into a folder of the release's name in `--output-dir`.
    #[arg(long)]
    pub release_name: bool,

    /// Print what was rendered even if it is no valid YAML.
    #[arg(long)]
    pub debug: bool,
}

/// Where values come from. Files come first, then the flags in this order; of each, the last one wins.
#[derive(Clone, Default, Args)]
pub struct ValueOptions {
    /// File with values, `-` for standard input; repeated or separated by commas.
    #[arg(short = 'f', long = "values", value_name = "FILES", value_hint = ValueHint::FilePath)]
    pub files: Vec<StringSlice>,

    /// JSON values: `key=value,…` or a whole object; repeated.
    #[arg(long = "set-json", value_name = "VALUES")]
    pub json: Vec<String>,

    /// Values: `key=value,…`; repeated.
    #[arg(long = "set", value_name = "VALUES")]
    pub typed: Vec<String>,

    /// Values that are strings: `key=value,…`; repeated.
    #[arg(long = "set-string", value_name = "VALUES")]
    pub strings: Vec<String>,

    /// Values that are the contents of files: `key=path,…`; repeated.
    #[arg(long = "set-file", value_name = "VALUES")]
    pub contents: Vec<String>,

    /// Value that is a string, taken as it stands: `key=value`; repeated.
    #[arg(long = "set-literal", value_name = "VALUE")]
    pub literals: Vec<String>,
}

/// How to reach a registry.
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line, independent of each other")]
#[derive(Clone, Default, Args)]
pub struct RegistryOptions {
    /// Version of the chart, or a constraint; without one, the newest stable version.
    #[arg(long)]
    pub version: Option<String>,

    /// Without `--version`, take pre-releases too.
    #[arg(long)]
    pub devel: bool,

    /// Speak plain HTTP.
    #[arg(long)]
    pub plain_http: bool,

    /// Accept any certificate.
    #[arg(long)]
    pub insecure_skip_tls_verify: bool,

    /// File with certificates to trust besides the system's, PEM.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,

    /// User name.
    #[arg(long)]
    pub username: Option<String>,

    /// Password; other users of the machine may see it: `--password-stdin` is better.
    #[arg(long, conflicts_with = "password_stdin")]
    pub password: Option<String>,

    /// Read the password from standard input.
    #[arg(long, requires = "username")]
    pub password_stdin: bool,

    /// File with logins, as `helm registry login` and `docker login` leave one; without a user name it is asked.
    #[arg(long, env = "HELM_REGISTRY_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub registry_config: Option<PathBuf>,

    /// Folder of Helm's configuration, which holds `registry/config.json`.
    #[arg(long, env = "HELM_CONFIG_HOME", hide = true)]
    pub config_home: Option<PathBuf>,

    /// Folder of Docker's configuration, which holds `config.json`.
    #[arg(long, env = "DOCKER_CONFIG", hide = true)]
    pub docker_config: Option<PathBuf>,
}

impl std::fmt::Debug for ValueOptions {
    /// How many of each there are: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, json, typed, strings, contents, literals } = self;
        let flags = [json, typed, strings, contents, literals].map(Vec::len);
        f.debug_struct("ValueOptions").field("files", files).field("flags", &flags).finish()
    }
}

impl std::fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryOptions").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Flags that `helm template` takes because `helm install` has them. They change nothing that is rendered, so scripts may
/// go on giving them.
fn without_effect() -> Vec<Arg> {
    const SWITCHES: [&str; 18] = [
        "atomic",
        "create-namespace",
        "dependency-update",
        "disable-openapi-validation",
        "enable-dns",
        "force",
        "force-conflicts",
        "force-replace",
        "hide-notes",
        "kube-insecure-skip-tls-verify",
        "pass-credentials",
        "render-subchart-notes",
        "replace",
        "rollback-on-failure",
        "server-side",
        "skip-crds",
        "take-ownership",
        "wait-for-jobs",
    ];
    const WITH_VALUES: [&str; 14] = [
        "content-cache",
        "description",
        "keyring",
        "kube-apiserver",
        "kube-as-group",
        "kube-as-user",
        "kube-ca-file",
        "kube-context",
        "kube-tls-server-name",
        "kube-token",
        "kubeconfig",
        "post-renderer-args",
        "repository-cache",
        "repository-config",
    ];
    let optional = |name: &'static str, values: Vec<&'static str>| {
        Arg::new(name).long(name).num_args(0..=1).require_equals(true).value_parser(values)
    };
    let named = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
    let switches = SWITCHES.map(|name| Arg::new(name).long(name).action(ArgAction::SetTrue));
    let checked = [
        named("burst-limit").value_parser(clap::value_parser!(i64)),
        named("color").alias("colour").value_parser(["never", "auto", "always"]),
        named("labels").short('l').value_parser(labels),
        named("qps").value_parser(clap::value_parser!(f32)),
        named("timeout").value_parser(duration),
    ];
    let with_values = WITH_VALUES.map(named).into_iter().chain(checked);
    // Of what these may be, only that is taken for which no cluster is needed.
    let others = [
        optional("dry-run", vec!["client", "true"]),
        optional("wait", vec!["watcher", "hookOnly", "legacy", "true", "false"]),
    ];
    switches.into_iter().chain(with_values).chain(others).map(|argument| argument.hide(true)).collect()
}

/// Lets a flag be used as Go's `pflag` lets Helm's be used: switches take an optional `=BOOL`, values may start with a
/// dash.
fn as_helm_reads(argument: Arg) -> Arg {
    match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_parser(switch),
        ArgAction::Set | ArgAction::Append if !argument.is_positional() => argument.allow_hyphen_values(true),
        _ => argument,
    }
}

/// A path that may be empty, which means none.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// As Go's `pflag` reads `key=value,…`: what has one `=` is one pair, commas or not.
fn labels(text: &str) -> Result<String, String> {
    let pairs: Vec<&str> = if text.matches('=').count() == 1 { vec![text] } else { text.split(',').collect() };
    match pairs.into_iter().find(|pair| !pair.contains('=')) {
        Some(pair) => Err(format!("{pair} must be formatted as key=value")),
        None => Ok(text.to_owned()),
    }
}

/// Whether Go's `time.ParseDuration` takes it, in its words.
fn duration(text: &str) -> Result<String, String> {
    let quoted = quote(text);
    let invalid = || Err(format!("time: invalid duration {quoted}"));
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(text.to_owned());
    }
    if rest.is_empty() {
        return invalid();
    }
    while !rest.is_empty() {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let whole = digits(rest);
        let fraction = rest[whole..].strip_prefix('.').map(digits);
        if whole == 0 && fraction.unwrap_or(0) == 0 {
            return invalid();
        }
        let after = &rest[whole + fraction.map_or(0, |digits| 1 + digits)..];
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        match unit {
            "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h" => rest = after,
            "" => return Err(format!("time: missing unit in duration {quoted}")),
            unit => return Err(format!("time: unknown unit {} in duration {quoted}", quote(unit))),
        }
    }
    Ok(text.to_owned())
}

/// Go's spellings of booleans.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("neither true nor false".to_owned()),
    }
}
