//! A fleet in its file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hub_store::{Enrolment, FleetStore, Found};
use protocol::store::StoreError;
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use std::os::unix::fs::PermissionsExt;

type Fleet = FleetStore<Option<u32>, String>;

const KEY: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp(1_000);

fn enrolment(site: &str, replica: u8) -> Enrolment {
    Enrolment {
        site: site.into(),
        replica: ReplicaId([replica; 32]),
        seal_key: [2; 32],
        version: "0.1.0".into(),
        fingerprint: Hash([replica; 32]),
        serial: "01".into(),
        expires: Timestamp(9_000),
    }
}

fn opened() -> (tempfile::TempDir, Fleet) {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Fleet::open(&directory.path().join("fleet.db"), &KEY).unwrap();
    (directory, fleet)
}

#[test]
fn a_code_leads_to_a_member_whose_certificate_names_its_site() {
    let (directory, mut fleet) = opened();
    fleet.put_code("hillside", "op", Hash([1; 32]), Timestamp(5_000), NOW).unwrap();
    let decide = |found: Found<_, _>| {
        assert_eq!(found.code.as_ref().unwrap().site, "hillside");
        assert_eq!(found.site.unwrap().replica, None);
        Ok::<_, ()>(enrolment("hillside", 3))
    };
    fleet.enrol(Hash([1; 32]), Some(ReplicaId([3; 32])), NOW, decide).unwrap().unwrap();
    drop(fleet);

    let mut fleet = Fleet::open(&directory.path().join("fleet.db"), &KEY).unwrap();
    assert_eq!(fleet.site_of_certificate(&Hash([3; 32])).unwrap().unwrap().site, "hillside");
    assert_eq!(fleet.site_of_certificate(&Hash([4; 32])).unwrap(), None);
    let again = fleet.enrol(Hash([1; 32]), Some(ReplicaId([3; 32])), NOW, |found| {
        assert_eq!(found.code.unwrap().used, Some(NOW));
        assert_eq!(found.replica_of.as_deref(), Some("hillside"));
        Err::<Enrolment, _>("used")
    });
    assert_eq!(again.unwrap(), Err("used"));
}

#[test]
fn a_new_code_takes_the_place_of_an_unused_one() {
    let (_directory, mut fleet) = opened();
    fleet.put_code("hillside", "op", Hash([1; 32]), Timestamp(5_000), NOW).unwrap();
    fleet.put_code("hillside", "op", Hash([2; 32]), Timestamp(6_000), NOW).unwrap();
    let look = |fleet: &mut Fleet, hash| {
        let mut seen = None;
        let _ = fleet.enrol(Hash([hash; 32]), None, NOW, |found| {
            seen = found.code;
            Err::<Enrolment, _>(())
        });
        seen
    };
    assert!(look(&mut fleet, 1).is_none());
    assert!(look(&mut fleet, 2).is_some());
    assert_eq!(fleet.sites().unwrap().len(), 1);
}

#[test]
fn status_and_revocation_are_kept_as_they_were_said() {
    let (_directory, mut fleet) = opened();
    fleet.put_code("hillside", "op", Hash([1; 32]), Timestamp(5_000), NOW).unwrap();
    assert_eq!(fleet.site("hillside").unwrap().unwrap().status, None);
    fleet.put_status("hillside", &Some(4)).unwrap();
    fleet.put_revocation("hillside", &"stolen".to_owned()).unwrap();
    let site = fleet.site("hillside").unwrap().unwrap();
    assert_eq!((site.status, site.revocation.as_deref()), (Some(4), Some("stolen")));
}

#[test]
fn the_file_is_for_its_user_alone_and_opens_with_its_key_alone() {
    let (directory, fleet) = opened();
    drop(fleet);
    let path = directory.path().join("fleet.db");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read(&path).unwrap().starts_with(b"SQLite format"));
    assert!(matches!(Fleet::open(&path, &[8; 32]), Err(StoreError::Open { .. })));
}

#[test]
fn a_backup_taken_in_use_restores_and_a_damaged_one_is_refused() {
    let (directory, mut fleet) = opened();
    fleet.put_code("hillside", "op", Hash([1; 32]), Timestamp(5_000), NOW).unwrap();
    let (copy, restored) = (directory.path().join("copy.db"), directory.path().join("restored.db"));
    fleet.backup(&KEY, &copy).unwrap();
    assert!(matches!(fleet.backup(&KEY, &copy), Err(StoreError::Open { .. })), "never replaces a file");
    Fleet::restore(&copy, &KEY, &restored).unwrap();
    assert_eq!(Fleet::open(&restored, &KEY).unwrap().sites().unwrap(), fleet.sites().unwrap());

    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() - 2000;
    bytes[middle] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let other = directory.path().join("other.db");
    let error = Fleet::restore(&copy, &KEY, &other).unwrap_err().to_string();
    assert!(error.contains("copy.db"), "{error}");
    assert!(!other.exists());
}
