//! What sites are to go by: rolled out by the hub, reported by the site, whatever order and however often it comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::replica::{CONFIGURATIONS_MAX, ConfigureError, Standing, standing};
use protocol::{Draft, Peer, PeerRole, Store};
use record::id::ReplicaId;
use record::ledger::Act;
use record::ledger::configuration::{Report, Rollout};
use support::{Node, enrolled, sync};

fn rollout(name: &str) -> Rollout {
    Rollout { site: "hillside".to_owned(), name: name.to_owned(), requires: 1, text: format!("name = \"{name}\"\nrequires = 1\n") }
}

fn roll_out(by: &mut Node, site: ReplicaId, name: &str) -> Result<(), ConfigureError> {
    let now = by.now();
    let wanted = [(site, rollout(name))];
    by.replica.roll_out(&mut by.store, now, &mut by.entropy, &Act::system(), &wanted).map(|_| ())
}

fn stands(at: &mut Node, site: ReplicaId) -> Standing {
    let scope = at.replica.site_scope(site).expect("the site's scope");
    standing(at.store.begin().expect("begin").as_mut(), scope).expect("standing")
}

fn names(standing: &Standing) -> Vec<&str> {
    standing.rollouts.iter().map(|(_, rollout)| rollout.name.as_str()).collect()
}

#[test]
fn a_rollout_arrives_with_the_next_session_and_the_answer_with_the_one_after() {
    let (mut site, mut hub) = enrolled();
    let id = site.replica.id();
    assert!(matches!(roll_out(&mut hub, id, "early"), Err(ConfigureError::Unheard(_))));
    sync(&mut site, &mut hub);
    roll_out(&mut hub, id, "winter").expect("rolled out");
    let (summary, _) = sync(&mut site, &mut hub);
    assert!(summary.equal);
    let here = stands(&mut site, id);
    assert_eq!((names(&here), here.report.is_none()), (vec!["winter"], true));
    let about = here.newest().expect("a rollout").digest();
    let report = Report { about, name: "winter".into(), refused: None, runs: ("winter".into(), Some(about)), program: "test/1".into() };
    site.commit(vec![Draft::Report(report.clone())]);
    assert!(sync(&mut site, &mut hub).0.equal);
    assert_eq!(stands(&mut hub, id).report.map(|(_, report)| report), Some(report));
    assert_eq!(stands(&mut hub, id), stands(&mut site, id), "both see the same");
}

#[test]
fn the_newest_counts_and_the_last_few_are_remembered_through_a_restart() {
    let (mut site, mut hub) = enrolled();
    let id = site.replica.id();
    sync(&mut site, &mut hub);
    for n in 0..CONFIGURATIONS_MAX + 3 {
        roll_out(&mut hub, id, &format!("b{n}")).expect("rolled out");
        if n % 4 == 0 {
            sync(&mut site, &mut hub);
        }
    }
    sync(&mut site, &mut hub);
    let mut site = site.restart(2);
    let here = stands(&mut site, id);
    assert_eq!(here.rollouts.len(), CONFIGURATIONS_MAX);
    assert_eq!(names(&here)[..2], ["b10", "b9"]);
    assert_eq!(here.before().map(|rollout| rollout.name.as_str()), Some("b9"));
    assert_eq!(here, stands(&mut hub, id));
}

#[test]
fn nobody_but_the_hub_says_what_a_site_is_to_go_by() {
    let (mut site, mut hub) = enrolled();
    let id = site.replica.id();
    let mut neighbour = Node::new(3);
    let as_neighbour = |node: &Node| Peer { role: PeerRole::Neighbour, ..node.peer() };
    let (now, peer) = (site.now(), as_neighbour(&neighbour));
    site.replica.admit(&mut site.store, now, &mut site.entropy, peer).expect("admit");
    let (now, peer) = (neighbour.now(), as_neighbour(&site));
    neighbour.replica.admit(&mut neighbour.store, now, &mut neighbour.entropy, peer).expect("admit");
    sync(&mut site, &mut hub);
    sync(&mut neighbour, &mut site);
    // It holds the site's key and signs well: what it says is none of its business all the same.
    let tried = roll_out(&mut neighbour, id, "by a neighbour");
    if tried.is_ok() {
        sync(&mut neighbour, &mut site);
    }
    assert_eq!(names(&stands(&mut site, id)), Vec::<&str>::new());
    roll_out(&mut hub, id, "by the hub").expect("rolled out");
    sync(&mut site, &mut hub);
    assert_eq!(names(&stands(&mut site, id)), ["by the hub"]);
}
