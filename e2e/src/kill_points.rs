//! Kill points: the operator dies before and after every write of a release's life, and the next process must end where
//! an undisturbed one ends.
//!
//! Each scenario is played once in peace: its writes are the points, its end is what is expected of each of them. Then many
//! releases die at once, each at a write of its own: the [`Gateway`] lets nothing more of a release through after its
//! point, and when all have come to theirs, the process is killed, and another is started. What they come to is compared
//! line by line, and [`crate::model`] judges all records on the way.
//!
//! What is in another cluster is in namespaces of other names there, so that each write and each line says where it is.

mod chart;
mod outcome;
mod scenario;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use helm::release::Status;
use helm_operator::api::HelmRelease;
use kube::{Client, ResourceExt as _};

use self::outcome::{Outcome, Snapshot};
use self::scenario::Player;
pub use self::scenario::Scenario;
use crate::apiserver::ControlPlane;
use crate::eventually;
use crate::gateway::{Gateway, Moment, Trap};
use crate::model::{End, Event, Violation, What};
use crate::operator::Operator;
use crate::recorder::Recorder;
use crate::sample::Numbers;
use crate::status::{self, Conditioned as _};
use crate::story::Story;

/// How long all releases of a batch may need to come to their point, or to their end.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long nothing may be written until a run in peace counts as ended.
const QUIET: Duration = Duration::from_secs(2);

/// How long nothing may change until releases count as stuck: longer than the first pauses of a back-off.
const STUCK: Duration = Duration::from_secs(45);

/// Releases that die at once.
const BATCH: usize = 40;

/// Which points are played.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Only these scenarios.
    pub scenarios: Vec<Scenario>,
    /// Only so many points, chosen by this seed.
    pub sample: Option<(usize, u64)>,
}

/// A write at which the operator dies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// In whose life.
    pub scenario: Scenario,
    /// Its place among the writes of a run in peace.
    pub number: usize,
    /// The write, as `METHOD path` with `T` for the token.
    pub write: String,
    /// Which of the writes that look so.
    pub occurrence: usize,
    /// Before or after it.
    pub moment: Moment,
}

/// What became of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ended as in peace.
    Passed,
    /// The write did not happen this time: statuses are written as often as they change.
    NotReached,
    /// It ended elsewhere, or on a way that must not be.
    Failed(Vec<String>),
}

/// What became of all points, and of the scenarios that do not even end in peace as they must.
#[derive(Debug, Default)]
pub struct Report {
    /// The points with their verdicts, in order.
    pub rows: Vec<(Point, Verdict)>,
    /// Scenarios without points, and why.
    pub broken: Vec<(Scenario, String)>,
}

/// A scenario as it goes in peace.
struct Peace {
    writes: Vec<String>,
    end: Outcome,
}

struct World<'a> {
    story: &'a Story<'a>,
    recorder: Recorder,
    gateway: Gateway,
    operator: Operator,
    there: Option<Elsewhere>,
    releases: usize,
}

/// Another cluster, behind a door that counts with the first one's.
struct Elsewhere {
    recorder: Recorder,
    gateway: Gateway,
    client: Client,
    _plane: ControlPlane,
}

/// A release of a batch.
#[derive(Clone, Debug)]
struct Cast {
    token: String,
    scenario: Scenario,
}

/// Plays the chosen points on a stage of their own.
///
/// # Errors
/// When the stage itself fails. What fails of the operator is in the report.
pub async fn play(story: &Story<'_>, choice: &Choice) -> Result<Report> {
    for version in ["1.0.0", "1.1.0"] {
        story.push(&chart::plain(chart::PLAIN, version)).await?;
        story.push(&chart::hooked(version)).await?;
    }
    story.open_repository().await?;
    let recorder = Recorder::start(story.client.clone()).await?;
    // The doors speak plain HTTP.
    let (gateway, operator) = story.behind_gateway(&["--concurrent=64", "--insecure-kubeconfig-tls"]).await?;
    let there = if choice.scenarios.iter().any(|scenario| scenario.is_remote()) {
        Some(Elsewhere::start(&gateway).await?)
    } else {
        None
    };
    let mut world = World { story, recorder, gateway, operator, there, releases: 0 };
    let mut report = Report::default();
    let peace = world.peace(&choice.scenarios, &mut report).await?;
    let points = choose(&peace, choice.sample);
    for batch in points.chunks(BATCH) {
        let rows = world.batch(batch, &peace).await?;
        report.rows.extend(rows);
    }
    report.rows.sort_by(|one, other| one.0.cmp(&other.0));
    world.operator.check_log()?;
    Ok(report)
}

fn choose(peace: &BTreeMap<Scenario, Peace>, sample: Option<(usize, u64)>) -> Vec<Point> {
    let mut points = Vec::new();
    for (scenario, peace) in peace {
        for (number, write) in peace.writes.iter().enumerate() {
            let occurrence = peace.writes[..number].iter().filter(|before| *before == write).count();
            points.extend([Moment::Before, Moment::After].map(|moment| Point {
                scenario: *scenario,
                number,
                write: write.clone(),
                occurrence,
                moment,
            }));
        }
    }
    if let Some((count, seed)) = sample {
        let mut numbers = Numbers::new(seed, "kill points");
        while points.len() > count {
            points.swap_remove(numbers.below(points.len()));
        }
        points.sort();
    }
    points
}

impl Elsewhere {
    async fn start(gateway: &Gateway) -> Result<Self> {
        let plane = ControlPlane::api_only().await?;
        let client = plane.client().await?;
        let recorder = Recorder::start(client.clone()).await?;
        Ok(Self { recorder, gateway: gateway.beside(plane.kubeconfig()).await?, client, _plane: plane })
    }
}

impl World<'_> {
    fn player<'a>(&'a self, cast: &'a Cast) -> Player<'a> {
        let there = self.there.as_ref().map(|there| there.gateway.kubeconfig());
        Player { story: self.story, token: &cast.token, there }
    }

    /// What was recorded in all clusters so far.
    fn events(&self) -> Vec<Event> {
        let there = self.there.iter().flat_map(|there| there.recorder.events());
        self.recorder.events().into_iter().chain(there).collect()
    }

    async fn snapshot(&self, events: &[Event]) -> Result<Snapshot> {
        let clients: Vec<&Client> =
            std::iter::once(&self.story.client).chain(self.there.iter().map(|there| &there.client)).collect();
        Snapshot::take(&clients, events).await
    }

    /// How all releases stand at the end, and what must not be.
    async fn ended(&self) -> Result<(Snapshot, Vec<Violation>)> {
        let mut verdict = self.recorder.verdict(End::Settled).await?;
        if let Some(there) = &self.there {
            let other = there.recorder.verdict(End::Settled).await?;
            verdict.events.extend(other.events);
            verdict.violations.extend(other.violations);
        }
        Ok((self.snapshot(&verdict.events).await?, verdict.violations))
    }

    fn cast(&mut self, scenario: Scenario) -> Cast {
        self.releases += 1;
        Cast { token: format!("kp{:04}", self.releases), scenario }
    }

    /// Plays each scenario once, undisturbed.
    async fn peace(&mut self, scenarios: &[Scenario], report: &mut Report) -> Result<BTreeMap<Scenario, Peace>> {
        let casts: Vec<Cast> = scenarios.iter().map(|scenario| self.cast(*scenario)).collect();
        self.prepare(&casts).await?;
        self.gateway.open();
        self.act(&casts).await?;
        // One that never settles is found below, by its end.
        drop(self.until(&casts, Self::settled).await);
        let mut writes = self.gateway.writes();
        let rest = eventually::eventually("nothing more is written", PATIENCE, async || {
            eventually::measure(QUIET).await;
            let before = std::mem::replace(&mut writes, self.gateway.writes());
            ensure!(before.len() == writes.len(), "{:?}", &writes[before.len()..]);
            Ok(())
        });
        drop(rest.await);
        let (snapshot, violations) = self.ended().await?;
        let mut peace = BTreeMap::new();
        for cast in casts {
            let end = snapshot.of(&cast.token);
            let missing = cast.scenario.ends().iter().filter(|line| !end.iter().any(|is| is.starts_with(**line)));
            let mut wrong: Vec<String> = missing.map(|line| format!("lacks {line:?}")).collect();
            wrong.extend(of(&violations, &cast.token));
            if wrong.is_empty() {
                let own =
                    writes.iter().filter(|write| write.contains(&cast.token) && !write.contains("/helmrepositories/"));
                let writes = own.map(|write| write.replace(&cast.token, "T")).collect();
                peace.insert(cast.scenario, Peace { writes, end });
            } else {
                report.broken.push((cast.scenario, format!("undisturbed, it {}; it is {end:#?}", wrong.join("; "))));
            }
        }
        Ok(peace)
    }

    /// Lets many releases die, each at its point, and another process end what they began.
    async fn batch(&mut self, points: &[Point], peace: &BTreeMap<Scenario, Peace>) -> Result<Vec<(Point, Verdict)>> {
        let casts: Vec<Cast> = points.iter().map(|point| self.cast(point.scenario)).collect();
        self.prepare(&casts).await?;
        let traps = points.iter().zip(&casts).map(|(point, cast)| Trap {
            token: cast.token.clone(),
            write: placed(&point.write, &cast.token),
            occurrence: point.occurrence,
            moment: point.moment,
        });
        self.gateway.arm(traps.collect());
        self.act(&casts).await?;
        let at_point = |world: &Self, cast: &Cast, snapshot: &Snapshot| {
            if world.gateway.sprung(&cast.token) { Ok(()) } else { world.settled(cast, snapshot) }
        };
        drop(self.until(&casts, at_point).await);
        let reached: Vec<bool> = casts.iter().map(|cast| self.gateway.sprung(&cast.token)).collect();
        self.operator.kill().await?;
        self.gateway.open();
        self.operator.start().await?;

        let ends: BTreeMap<String, &Outcome> =
            casts.iter().map(|cast| (cast.token.clone(), &peace[&cast.scenario].end)).collect();
        drop(self.until(&casts, |_, cast, snapshot| same(ends[&cast.token], &snapshot.of(&cast.token))).await);
        let (snapshot, violations) = self.ended().await?;
        let rows = points.iter().zip(casts).zip(reached).map(|((point, cast), reached)| {
            let mut wrong = of(&violations, &cast.token);
            wrong.extend(same(ends[&cast.token], &snapshot.of(&cast.token)).err().map(|error| format!("{error:#}")));
            let verdict = match (wrong.is_empty(), reached) {
                (false, _) => Verdict::Failed(wrong),
                (true, true) => Verdict::Passed,
                (true, false) => Verdict::NotReached,
            };
            (point.clone(), verdict)
        });
        Ok(rows.collect())
    }

    async fn prepare(&self, casts: &[Cast]) -> Result<()> {
        let prepare = async |cast: &Cast| {
            let player = self.player(cast);
            player.prepare(cast.scenario).await.with_context(|| format!("preparing {cast:?}"))
        };
        futures::stream::iter(casts).map(Ok).try_for_each_concurrent(8, prepare).await?;
        self.until(casts, Self::prepared).await
    }

    async fn act(&self, casts: &[Cast]) -> Result<()> {
        let act = async |cast: &Cast| {
            let player = self.player(cast);
            player.act(cast.scenario).await.with_context(|| format!("acting {cast:?}"))
        };
        futures::stream::iter(casts).map(Ok).try_for_each_concurrent(8, act).await
    }

    /// Looks at all releases again and again until `check` accepts each of them.
    async fn until(&self, casts: &[Cast], check: impl Fn(&Self, &Cast, &Snapshot) -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = (Vec::new(), Instant::now());
        loop {
            let snapshot = self.snapshot(&self.events()).await?;
            let missing = casts
                .iter()
                .find_map(|cast| check(self, cast, &snapshot).err().map(|error| error.context(format!("{cast:?}"))));
            let stand: Vec<Outcome> = casts.iter().map(|cast| snapshot.of(&cast.token)).collect();
            if stand != last.0 {
                last = (stand, Instant::now());
            }
            match missing {
                None => return Ok(()),
                Some(error) if Instant::now() > deadline || last.1.elapsed() > STUCK => return Err(error),
                Some(_) => eventually::measure(Duration::from_millis(400)).await,
            }
        }
    }

    fn prepared(&self, cast: &Cast, snapshot: &Snapshot) -> Result<()> {
        match cast.scenario {
            Scenario::Install
            | Scenario::InstallDefinition
            | Scenario::Adopt
            | Scenario::AdoptNewer
            | Scenario::Remote => Ok(()),
            Scenario::Approve => {
                let release = snapshot.releases.get(&cast.token).context("no object yet")?;
                let plan = release.status.as_ref().and_then(|status| status.plan.as_ref());
                ensure!(plan.is_some(), "no plan waits yet: {}", status::summary(release));
                Ok(())
            }
            Scenario::UninstallUpgrading => {
                let waits = snapshot.of(&cast.token).contains("Deployment T/T-waiting");
                ensure!(waits, "the upgrade does not wait yet");
                Ok(())
            }
            _ => self.settled(cast, snapshot),
        }
    }

    /// Whether a release has come to an end: its object is gone, or tells of the newest record, which is not pending.
    fn settled(&self, cast: &Cast, snapshot: &Snapshot) -> Result<()> {
        if cast.scenario == Scenario::Drift {
            // Nothing of the release tells of it: its objects do.
            let is = snapshot.of(&cast.token);
            let missing = cast.scenario.ends().iter().find(|line| !is.iter().any(|it| it.starts_with(**line)));
            ensure!(missing.is_none(), "lacks {missing:?}");
        }
        let Some(release) = snapshot.releases.get(&cast.token) else { return Ok(()) };
        ensure!(release.metadata.deletion_timestamp.is_none(), "it is being deleted");
        status::ready(release).or_else(|_| settled_badly(release))?;
        let state =
            release.status.as_ref().and_then(|status| status.helm_release.as_ref()).context("no release yet")?;
        let target = target(release);
        let records = state.storage_namespace.as_ref().unwrap_or(&state.namespace);
        ensure!((records, &state.name) == (&target.0, &target.1), "the status is about another place");
        let events = self.events();
        let newest =
            events.iter().filter(|event| (&event.release.namespace, &event.release.name) == (&target.0, &target.1));
        let newest = newest.max_by_key(|event| (event.revision, event.at)).context("no record yet")?;
        ensure!(i64::from(newest.revision) == state.revision, "revision {} is newer", newest.revision);
        ensure!(!pending(newest), "revision {} is pending", newest.revision);
        Ok(())
    }
}

fn pending(event: &Event) -> bool {
    matches!(&event.what, What::Written(written) if written.status.is_pending() || written.status == Status::Uninstalling)
}

/// What must not be of the releases of a token.
fn of(violations: &[Violation], token: &str) -> Vec<String> {
    let own = violations.iter().filter(|violation| violation.release.namespace.starts_with(token));
    own.map(ToString::to_string).collect()
}

/// A write of one release, from that of any.
fn placed(write: &str, token: &str) -> String {
    let (method, path) = write.split_once(' ').unwrap_or(("", write));
    format!("{method} {}", path.replace('T', token))
}

/// Accepts what only a person can mend, as it is now declared.
fn settled_badly(release: &HelmRelease) -> Result<()> {
    ensure!(release.observed_generation() == release.metadata.generation, "not observed yet");
    let stalled = release.conditions().iter().any(|is| is.type_ == "Stalled" && is.status == "True");
    ensure!(stalled, "neither ready nor stalled: {}", status::summary(release));
    Ok(())
}

/// The namespace of the records and the name of the Helm release that is declared.
fn target(release: &HelmRelease) -> (String, String) {
    let target = &release.spec.release;
    let namespace = release.spec.storage_namespace.clone().or_else(|| target.namespace.clone());
    let namespace = namespace.or_else(|| release.namespace());
    (namespace.unwrap_or_default(), target.name.clone().unwrap_or_else(|| release.name_any()))
}

fn same(expected: &Outcome, is: &Outcome) -> Result<()> {
    let missing: Vec<&String> = expected.difference(is).collect();
    let surplus: Vec<&String> = is.difference(expected).collect();
    ensure!(missing.is_empty() && surplus.is_empty(), "lacks {missing:?}, has {surplus:?}");
    Ok(())
}

impl Report {
    /// Fails if anything failed.
    ///
    /// # Errors
    /// The number of failures; the report itself tells which.
    pub fn accept(&self) -> Result<()> {
        let failed = self.rows.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).count();
        let reached = self.rows.iter().filter(|(_, verdict)| *verdict == Verdict::Passed).count();
        ensure!(self.broken.is_empty() && failed == 0, "{failed} points and {} scenarios failed", self.broken.len());
        ensure!(reached * 10 >= self.rows.len() * 9, "only {reached} of {} points were reached", self.rows.len());
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sums = BTreeMap::<&str, [usize; 3]>::new();
        for (Point { scenario, number, write, moment, .. }, verdict) in &self.rows {
            let (word, column) = match verdict {
                Verdict::Passed => ("passed", 0),
                Verdict::NotReached => ("not reached", 1),
                Verdict::Failed(_) => ("FAILED", 2),
            };
            sums.entry(scenario.name()).or_default()[column] += 1;
            writeln!(f, "{:<18} {number:>3} {:<7} {word:<12} {write}", scenario.name(), format!("{moment:?}"))?;
            if let Verdict::Failed(wrong) = verdict {
                wrong.iter().try_for_each(|wrong| writeln!(f, "    {wrong}"))?;
            }
        }
        for (scenario, why) in &self.broken {
            writeln!(f, "{:<18} has no points: {why}", scenario.name())?;
        }
        writeln!(f, "\n{:<18} passed not-reached failed", "scenario")?;
        for (scenario, [passed, unreached, failed]) in &sums {
            writeln!(f, "{scenario:<18} {passed:>6} {unreached:>11} {failed:>6}")?;
        }
        let total = sums.values().fold([0; 3], |sum, row| [0, 1, 2].map(|column| sum[column] + row[column]));
        writeln!(f, "{:<18} {:>6} {:>11} {:>6}", "all", total[0], total[1], total[2])
    }
}
