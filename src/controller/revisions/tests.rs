use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::channel::mpsc::UnboundedReceiver;

use super::Revisions;
use crate::history::{Marks, RecordMeta, ReleaseKey};

fn release() -> ReleaseKey {
    ReleaseKey::new("apps", "web")
}

/// Revision 1 at a version of its Secret.
fn at(version: u32) -> RecordMeta {
    of("uid-1", version)
}

fn of(uid: &str, version: u32) -> RecordMeta {
    RecordMeta { resource_version: version.to_string(), uid: uid.to_owned(), ..RecordMeta::new(release()) }
}

/// How many times somebody was woken.
fn woken(news: &mut UnboundedReceiver<ReleaseKey>) -> usize {
    std::iter::from_fn(|| news.try_recv().ok()).count()
}

fn known(revisions: &Revisions) -> Vec<String> {
    revisions.of(&release()).into_iter().map(|meta| meta.resource_version).collect()
}

#[test]
fn a_write_of_ours_is_no_news_whatever_comes_first() {
    let (revisions, mut news) = Revisions::new();
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.seen(at(1));
    assert!(known(&revisions).is_empty(), "what the watch says is held until the answer");
    write.written(at(1));
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["1".to_owned()], 0), "the event came first");

    revisions.write_for("apps/web", release(), 1).written(at(2));
    revisions.seen(at(1));
    revisions.seen(at(2));
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["2".to_owned()], 0), "the answer came first");

    let write = revisions.write_for("apps/web", release(), 1);
    revisions.gone(at(1));
    write.deleted();
    assert_eq!((known(&revisions), woken(&mut news)), (vec![], 0), "the event of a deletion came first");

    revisions.write_for("apps/web", release(), 1).written(at(4));
    revisions.write_for("apps/web", release(), 1).deleted();
    revisions.seen(at(4));
    revisions.gone(at(1));
    assert_eq!((known(&revisions), woken(&mut news)), (vec![], 0), "all events came after the deletion");
    revisions.seen(of("uid-2", 9));
    assert_eq!(woken(&mut news), 1, "a record of that name made later is another");
    revisions.gone(at(10));
    assert_eq!(
        (known(&revisions), woken(&mut news)),
        (vec!["9".to_owned()], 0),
        "the end of the earlier one came late"
    );
}

#[test]
fn what_somebody_else_writes_is_news() {
    let (revisions, mut news) = Revisions::new();
    revisions.seen(at(1));
    revisions.seen(at(1));
    assert_eq!(woken(&mut news), 1);
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.seen(at(3));
    write.written(at(2));
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["3".to_owned()], 1), "it wrote after us");
    revisions.gone(at(1));
    assert_eq!((known(&revisions), woken(&mut news)), (vec![], 1));
}

#[test]
fn an_unclear_answer_explains_nothing() {
    let (revisions, mut news) = Revisions::new();
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.seen(at(1));
    drop(write);
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["1".to_owned()], 1));
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.gone(at(1));
    drop(write);
    assert_eq!((known(&revisions), woken(&mut news)), (vec![], 1));
}

#[test]
fn a_release_is_quiet_when_the_writes_of_its_records_have_ended() {
    let (revisions, _news) = Revisions::new();
    let quiet = || revisions.quiet(Some(&release()), "apps/web").now_or_never().is_some();
    assert!(quiet());
    let (one, other) = (revisions.write_for("apps/web", release(), 1), revisions.write_for("apps/other", release(), 2));
    one.written(at(1));
    assert!(!quiet());
    drop(other);
    assert!(quiet());
    let moved = revisions.write_for("apps/web", ReleaseKey::new("elsewhere", "web"), 1);
    assert!(!quiet(), "a write for the same object in another namespace");
    drop(moved);
    let others = revisions.write_for("apps/other", ReleaseKey::new("elsewhere", "web"), 1);
    assert!(quiet(), "a write for another object");
    drop(others);
}

#[test]
fn a_release_is_found_by_the_object_of_its_newest_marked_revision() {
    let (revisions, _news) = Revisions::new();
    let made_for = |owner: Option<&str>, revision, version| {
        let marks = owner.map(|owner| Marks { owner: owner.to_owned(), ..Marks::default() });
        revisions.seen(RecordMeta { revision, marks, ..at(version) });
    };
    let owned = |owner| revisions.owned_by(owner, "").len();
    made_for(Some("apps/a"), 1, 1);
    made_for(None, 2, 2);
    assert_eq!((owned("apps/a"), owned("apps/b")), (1, 0), "marks that a later revision lacks are not lost");
    made_for(Some("apps/b"), 3, 3);
    assert_eq!((owned("apps/a"), owned("apps/b")), (0, 1));
    assert!(revisions.owned_by("apps/b", "another").is_empty(), "an object of that name made later is another");
    revisions.gone(RecordMeta { revision: 3, ..at(3) });
    assert_eq!((owned("apps/a"), owned("apps/b")), (1, 0));
    made_for(None, 1, 4);
    assert_eq!(owned("apps/a"), 0);
    made_for(Some("apps/a"), 1, 5);
    revisions.list_begins();
    revisions.list_ended(&BTreeMap::new());
    assert_eq!(owned("apps/a"), 0);
}

#[test]
fn a_new_list_takes_out_what_it_lacks_but_not_what_was_written_since() {
    let (revisions, mut news) = Revisions::new();
    revisions.seen(at(1));
    assert_eq!(woken(&mut news), 1);
    revisions.list_begins();
    revisions.write_for("apps/web", release(), 1).written(at(2));
    revisions.list_ended(&BTreeMap::new());
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["2".to_owned()], 0), "it was asked for before the write");
    revisions.list_begins();
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.list_ended(&BTreeMap::new());
    assert_eq!(known(&revisions).len(), 1, "a write is under way");
    drop(write);
    revisions.list_begins();
    revisions.list_ended(&BTreeMap::new());
    assert_eq!((known(&revisions), woken(&mut news)), (vec![], 1));
}

#[test]
fn a_store_that_was_put_back_to_an_earlier_state_is_believed() {
    let (revisions, mut news) = Revisions::new();
    let list = |metas: &[RecordMeta]| {
        metas.iter().cloned().for_each(|meta| revisions.listed(meta));
        revisions.list_ended(&[(release(), vec![1])].into());
    };
    revisions.list_begins();
    list(&[at(2000)]);
    revisions.seen(at(900));
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["2000".to_owned()], 1), "an event that comes late is old");
    revisions.list_begins();
    list(&[at(900)]);
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["900".to_owned()], 1), "a list is what there is");
    revisions.list_begins();
    list(&[at(900)]);
    assert_eq!(woken(&mut news), 0, "nothing changed");

    revisions.list_begins();
    revisions.write_for("apps/web", release(), 1).written(at(950));
    list(&[at(900)]);
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["950".to_owned()], 0), "it was asked for before the write");
    let write = revisions.write_for("apps/web", release(), 1);
    revisions.list_begins();
    list(&[at(800)]);
    drop(write);
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["800".to_owned()], 1), "a write that nothing came of");

    revisions.write_for("apps/web", release(), 1).deleted();
    revisions.seen(at(800));
    assert!(known(&revisions).is_empty(), "an event from before the deletion");
    revisions.list_begins();
    list(&[at(700)]);
    assert_eq!((known(&revisions), woken(&mut news)), (vec!["700".to_owned()], 1), "a deletion that was undone");
}

#[test]
fn the_bytes_of_all_records_and_of_the_largest_release_are_counted() {
    let (revisions, _news) = Revisions::new();
    for (name, revision, bytes) in [("a", 1, 10), ("a", 2, 20), ("b", 1, 25), ("c", 1, 0)] {
        let release = ReleaseKey::new("apps", name);
        revisions.seen(RecordMeta { release, revision, bytes, uid: format!("{name}{revision}"), ..at(1) });
    }
    let counted = revisions.bytes();
    assert_eq!((counted.all, counted.largest), (55, 30));
    revisions.gone(RecordMeta { release: ReleaseKey::new("apps", "a"), ..of("a1", 2) });
    assert_eq!(revisions.bytes().largest, 25);
}
