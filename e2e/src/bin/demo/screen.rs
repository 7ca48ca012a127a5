//! What the person sees: titles, commands with their output, and every change of a condition as it happens.

use std::fmt::Debug;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::status::Conditioned;
use futures::StreamExt as _;
use helm_operator::api::{HelmRelease, HelmRepository};
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::world::{NAMESPACE, World};

/// Writes to standard output, in colour when a person sits there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    start: Instant,
    colour: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self { start: Instant::now(), colour: std::io::stdout().is_terminal() }
    }
}

impl Screen {
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn title(&self, text: &str) {
        self.line("");
        self.line(&self.paint("1;36", &format!("▸ {text}")));
    }

    /// A command as typed, and what it said.
    pub(crate) fn shell(&self, command: &[&str], output: &str) {
        self.line(&self.paint("1", &format!("$ {}", command.join(" "))));
        self.lines(output);
    }

    pub(crate) fn lines(&self, text: &str) {
        text.lines().for_each(|line| self.line(&format!("  {line}")));
    }

    #[expect(clippy::unused_self, reason = "one door to the screen, whatever it needs to know")]
    pub(crate) fn line(&self, text: &str) {
        // A closed pipe (`cargo demo | head`) is no failure of the demo.
        drop(writeln!(std::io::stdout(), "{text}"));
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        self.line(&self.paint("1;31", &format!("✗ {error:#}")));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Shows every change of `Ready` until the guard goes.
    pub(crate) async fn watch(&self, world: &World) -> Result<JoinSet<()>> {
        let client = world.client().await?;
        let mut watching = JoinSet::new();
        watching.spawn(self.follow(Api::<HelmRepository>::namespaced(client.clone(), NAMESPACE), "helmrepository"));
        watching.spawn(self.follow(Api::<HelmRelease>::namespaced(client, NAMESPACE), "helmrelease"));
        Ok(watching)
    }

    async fn follow<K>(self, api: Api<K>, kind: &'static str)
    where
        K: Conditioned + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let mut shown = std::collections::BTreeMap::new();
        let mut objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
        while let Some(object) = objects.next().await {
            let Ok(object) = object else { continue };
            let name = object.meta().name.clone().unwrap_or_default();
            let Some(ready) = object.conditions().iter().find(|condition| condition.type_ == "Ready") else {
                continue;
            };
            let colour = match ready.status.as_str() {
                "True" => "32",
                "False" => "31",
                _ => "33",
            };
            let state = self.paint(colour, &format!("Ready={} {}", ready.status, ready.reason));
            let line = format!("{kind}/{name} {state}: {}", ready.message);
            if shown.insert(name, line.clone()).as_ref() != Some(&line) {
                self.line(&format!("  {:>6.1} s  {line}", self.elapsed().as_secs_f32()));
            }
        }
    }
}
