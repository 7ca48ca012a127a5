use super::*;
use crate::registry::error::Detail;
use crate::registry::{Access, Action};

const PAUSE: Duration = Duration::from_millis(40);

fn hosts(per_host: usize) -> Hosts {
    Hosts::new(Limits { per_host, first_pause: PAUSE, longest_pause: 4 * PAUSE, ..Limits::default() })
}

fn asker(host: &str, repository: &str) -> Asker {
    Asker {
        origin: format!("https://{host}"),
        host: host.to_owned(),
        repository: Some(repository.to_owned()),
        access: Access::default().key(),
    }
}

fn attempt(target: &str) -> Attempt {
    Attempt::new(Action::ListTags, &target)
}

fn refused(target: &str) -> Error {
    Error::Connect { attempt: attempt(target), host: "h".to_owned(), detail: "refused".to_owned() }
}

fn unavailable(target: &str, retry_after: Option<Duration>) -> Error {
    Error::ServerError { attempt: attempt(target), status: 503, retry_after, detail: Detail::new("private words") }
}

async fn enter<'a>(hosts: &'a Hosts, asker: &Asker) -> Result<Pass<'a>, Error> {
    hosts.enter(asker.clone(), &attempt(asker.repository.as_deref().unwrap_or_default())).await
}

async fn fail(hosts: &Hosts, asker: &Asker, sign: Sign) {
    enter(hosts, asker).await.expect("open").note(sign);
}

#[tokio::test]
async fn the_permits_of_a_host_are_its_own_and_given_in_order() {
    let hosts = hosts(1);
    let (slow, healthy) = (asker("slow", "a"), asker("healthy", "a"));
    let held = enter(&hosts, &slow).await.expect("free");
    drop(enter(&hosts, &healthy).await.expect("another host is not concerned"));
    let order = Mutex::new(Vec::new());
    let queue = |number: u8| {
        let (hosts, slow, order) = (&hosts, &slow, &order);
        async move {
            let pass = enter(hosts, slow).await.expect("in time");
            order.lock().expect("no panic").push(number);
            drop(pass);
        }
    };
    let free = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    tokio::join!(queue(1), queue(2), queue(3), free);
    assert_eq!(order.into_inner().expect("no panic"), [1, 2, 3]);
}

#[tokio::test]
async fn who_asks_a_host_that_is_down_is_answered_at_once_by_the_last_failure() {
    let hosts = hosts(8);
    let (first, other) = (asker("h", "mine"), asker("h", "theirs"));
    fail(&hosts, &first, Sign::Unreachable(refused("mine"))).await;
    match enter(&hosts, &other).await.err().expect("paused") {
        Error::Paused { retry_after, last, .. } => {
            assert!(retry_after >= SHORTEST_PAUSE);
            let told = last.to_string();
            assert!(told.contains("theirs") && told.contains("refused") && !told.contains("mine"), "{told}");
        }
        error => panic!("{error}"),
    }
    drop(enter(&hosts, &asker("elsewhere", "c")).await.expect("another host is not concerned"));
}

#[tokio::test]
async fn one_caller_tries_again_and_the_others_follow_when_the_host_is_back() {
    let hosts = hosts(8);
    let mine = asker("h", "mine");
    let mut recoveries = hosts.recoveries();
    fail(&hosts, &mine, Sign::Unreachable(refused("mine"))).await;
    tokio::time::sleep(2 * PAUSE).await;
    let trying = enter(&hosts, &mine).await.expect("the pause is over");
    let asked = Instant::now();
    let (follower, ()) = tokio::join!(enter(&hosts, &mine), async {
        tokio::time::sleep(PAUSE).await;
        trying.note(Sign::Answered);
    });
    assert!(follower.is_ok() && asked.elapsed() < PATIENCE, "it waits for the try, and goes on");
    assert_eq!(recoveries.try_recv().as_deref(), Ok("h"));
}

#[tokio::test]
async fn a_try_that_fails_ends_the_waiting_too_and_pauses_longer() {
    let hosts = hosts(8);
    let mine = asker("h", "mine");
    fail(&hosts, &mine, Sign::Unreachable(refused("mine"))).await;
    tokio::time::sleep(2 * PAUSE).await;
    let trying = enter(&hosts, &mine).await.expect("the pause is over");
    let (follower, ()) = tokio::join!(enter(&hosts, &mine), async {
        tokio::task::yield_now().await;
        trying.note(Sign::Unreachable(refused("mine")));
    });
    assert!(matches!(follower.err(), Some(Error::Paused { .. })));
    drop(trying);
    tokio::time::sleep(PAUSE).await;
    assert!(enter(&hosts, &mine).await.is_err(), "the second pause is longer than the first");
}

#[tokio::test]
async fn who_gives_the_try_up_lets_another_try() {
    let hosts = hosts(8);
    let mine = asker("h", "mine");
    fail(&hosts, &mine, Sign::Unreachable(refused("mine"))).await;
    tokio::time::sleep(2 * PAUSE).await;
    drop(enter(&hosts, &mine).await.expect("the pause is over"));
    drop(enter(&hosts, &mine).await.expect("nobody tries it now"));
}

#[tokio::test]
async fn a_repository_that_fails_alone_pauses_alone_and_three_are_the_host() {
    let hosts = hosts(8);
    let repository = |name: &str| asker("h", name);
    fail(&hosts, &repository("a"), Sign::Troubled(unavailable("a", None))).await;
    assert!(enter(&hosts, &repository("a")).await.is_err());
    fail(&hosts, &repository("b"), Sign::Troubled(unavailable("b", None))).await;
    // An answer between: the host is not the trouble.
    fail(&hosts, &repository("sound"), Sign::Answered).await;
    fail(&hosts, &repository("c"), Sign::Troubled(unavailable("c", None))).await;
    drop(enter(&hosts, &repository("sound")).await.expect("a sound repository"));
    for name in ["d", "e"] {
        fail(&hosts, &repository(name), Sign::Troubled(unavailable(name, None))).await;
    }
    let error = enter(&hosts, &repository("sound")).await.err().expect("the host is down");
    assert!(!error.to_string().contains("private words"), "{error}");
}

#[tokio::test]
async fn a_challenge_shows_that_a_host_is_there_but_not_that_it_works() {
    let hosts = hosts(8);
    for (sign, open) in [(Sign::Unreachable(refused("a")), true), (Sign::Troubled(unavailable("a", None)), false)] {
        let unnamed = Asker { repository: None, ..asker("h", "") };
        fail(&hosts, &unnamed, sign).await;
        tokio::time::sleep(2 * PAUSE).await;
        fail(&hosts, &unnamed, Sign::Challenged).await;
        let trying = enter(&hosts, &unnamed).await.expect("due");
        assert_eq!(trying.trying.is_empty(), open);
        trying.note(Sign::Answered);
    }
}

#[tokio::test]
async fn a_rate_that_is_used_up_pauses_its_account_for_as_long_as_the_registry_says() {
    let hosts = hosts(8);
    let mine = asker("h", "a");
    let theirs = Asker { access: Access { plain_http: true, ..Access::default() }.key(), ..mine.clone() };
    let limited = Error::RateLimited {
        attempt: attempt("a"),
        retry_after: Some(Duration::from_mins(20)),
        detail: Detail::default(),
    };
    fail(&hosts, &mine, Sign::Limited(limited)).await;
    let error = enter(&hosts, &asker("h", "b")).await.err().expect("the account is paused");
    let retry_after = error.retry_after().expect("known");
    assert!(retry_after > Duration::from_mins(19) && retry_after <= Duration::from_mins(20), "{retry_after:?}");
    drop(enter(&hosts, &theirs).await.expect("another account is not concerned"));
}

#[tokio::test]
async fn a_failing_registry_cannot_send_everybody_away_for_an_hour() {
    let hosts = hosts(8);
    let unnamed = Asker { repository: None, ..asker("h", "") };
    let error = unavailable("a", Some(Duration::from_hours(1)));
    fail(&hosts, &unnamed, Sign::Troubled(error)).await;
    let told = enter(&hosts, &unnamed).await.err().and_then(|error| error.retry_after()).expect("paused");
    assert!(told <= LONGEST_ABSENCE, "{told:?}");
}
